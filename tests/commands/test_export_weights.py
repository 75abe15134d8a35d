"""``pathplugins export-weights`` from its words to its last line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathplugins.cli import main

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def model(make_vlm: Callable[..., Path]) -> Path:
    """An image model with LLaVA's connector."""
    sizes: dict[str, Any] = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2}
    tower = {**sizes, "num_attention_heads": 4, "image_size": 20, "patch_size": 4}
    return make_vlm(
        None,
        vision_model_name="clip",
        vision_config=tower,
        mm_projector_type="mlp2x_gelu",
        projector_config={},
        image_aspect_ratio="pad",
    )


def test_a_connector_is_written_by_llavas_names(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mm_projector.bin"
    assert main(["export-weights", str(model), "--to", "mm-projector", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"wrote {out}: connector mlp2x_gelu by LLaVA's names, model.mm_projector.*\n"
    names = torch.load(out, weights_only=True)
    assert sorted(names) == [f"model.mm_projector.{layer}.{kind}" for layer in (0, 2) for kind in ("bias", "weight")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vlmm", "--to", "mm-projector", "--out", "x.bin"], "vlmm does not exist; give a model directory; did you"),
        (["vlm", "--to", "mm-projector", "--out", "x.bin", "--vision-tower", "y"], "--vision-tower is for --to llava"),
    ],
)
def test_mistakes_are_one_line(
    model: Path,
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "vlm").symlink_to(model)
    monkeypatch.chdir(tmp_path)
    assert main(["export-weights", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_a_mistyped_target_is_named(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["export-weights", str(model), "--to", "hf-lava", "--out", "x"])
    assert "unknown value 'hf-lava'. Did you mean hf-llava? Known: llava, hf-llava" in capsys.readouterr().err
