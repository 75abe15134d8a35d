"""``pathplugins import-weights`` and ``export-weights``: what a source is, what is said, what is refused (P22-P24)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pathplugins import cli
from pathplugins.commands.import_weights import SYSTEMS_READ, SystemImport, kind_of
from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, write_json

C = 64


def open_clip_state() -> dict[str, Tensor]:
    """The image half of a CLIP of OpenCLIP: one layer 64 wide, patches of 3 px, images of 9."""
    shapes = {"conv1.weight": (C, 3, 3, 3), "class_embedding": (C,), "positional_embedding": (10, C), "proj": (C, 7)}
    shapes |= {f"{norm}.{kind}": (C,) for norm in ("ln_pre", "ln_post") for kind in ("weight", "bias")}
    at = "transformer.resblocks.0."
    linear = {"attn.out_proj": (C, C), "mlp.c_fc": (80, C), "mlp.c_proj": (C, 80), "ln_1": (C,), "ln_2": (C,)}
    shapes |= {f"{at}attn.in_proj_weight": (3 * C, C), f"{at}attn.in_proj_bias": (3 * C,)}
    shapes |= {f"{at}{name}.weight": shape for name, shape in linear.items()}
    shapes |= {f"{at}{name}.bias": shape[:1] for name, shape in linear.items()}
    torch.manual_seed(1)
    return {f"visual.{name}": 0.2 * torch.randn(shape) for name, shape in shapes.items()}


def connector_state() -> dict[str, Tensor]:
    shapes = {"0.weight": (5, 7), "0.bias": (5,), "2.weight": (5, 5), "2.bias": (5,)}
    return {f"model.mm_projector.{name}": torch.randn(shape) for name, shape in shapes.items()}


def test_a_source_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "llava").mkdir()
    write_json(tmp_path / "llava" / "config.json", {"model_type": "llava_llama", "mm_vision_tower": "x"})
    (tmp_path / "hf").mkdir()
    write_json(tmp_path / "hf" / "config.json", {"model_type": "llava", "text_config": {}, "vision_config": {}})
    (tmp_path / "run").mkdir()
    torch.save(connector_state(), tmp_path / "run" / "mm_projector.bin")
    torch.save(open_clip_state(), tmp_path / "any.name")
    (tmp_path / "open_clip").mkdir()
    torch.save(open_clip_state(), tmp_path / "open_clip" / "open_clip_pytorch_model.bin")
    kinds = {path.name: kind_of(path) for path in tmp_path.iterdir()}
    kinds["file"] = kind_of(tmp_path / "run" / "mm_projector.bin")
    assert kinds == {
        "llava": "llava",
        "hf": "llava",
        "run": "projector",
        "file": "projector",
        "any.name": "open-clip",
        "open_clip": "open-clip",
    }


def test_a_source_of_no_kind_says_what_it_holds(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(1)}, tmp_path / "x.bin")
    with pytest.raises(
        CheckpointError, match=r"x\.bin holds 1 tensors \(layer\.weight\): neither OpenCLIP's .* nor a con"
    ):
        kind_of(tmp_path / "x.bin")
    with pytest.raises(CheckpointError, match=r"is no LLaVA .* it holds x\.bin\. Name the weights file itself"):
        kind_of(tmp_path)
    with pytest.raises(CheckpointError, match=r"absent does not exist; check the path"):
        kind_of(tmp_path / "absent")


def test_open_clip_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(open_clip_state(), tmp_path / "pathgen.pt")
    words = ["import-weights", str(tmp_path / "pathgen.pt"), "--out", str(tmp_path / "clip")]
    assert cli.main(words) == 2
    assert "Pass --activation quick_gelu or gelu" in capsys.readouterr().err
    assert cli.main([*words, "--activation", "gelu", "--arch", "ViT-B-16"]) == 2
    assert "pathgen.pt is no ViT-B-16: its weights are no listed architecture (1 layers of" in capsys.readouterr().err
    assert not (tmp_path / "clip").exists()
    assert cli.main([*words, "--activation", "gelu"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("images of 9 px, features of 7); image alone")
    assert said[1:2] == ["activation gelu, by you"]
    assert said[2].startswith(
        "largest difference to the original weights' own forward, of the largest value: image fea"
    )
    assert (
        said[3] == f"wrote {tmp_path / 'clip'}; train with vision_model_name: clip, vision_tower: {tmp_path / 'clip'}"
    )
    assert read_json(tmp_path / "clip" / "config.json")["hidden_act"] == "gelu"
    assert cli.main([*words, "--activation", "gelu", "--template", "v1"]) == 2
    assert "is of kind open-clip, for which --template means nothing" in capsys.readouterr().err


def test_a_connector_there_and_back_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, ours, again = (tmp_path / name for name in ("mm_projector.bin", "ours.safetensors", "again.bin"))
    torch.save(connector_state(), source)
    assert cli.main(["import-weights", str(source), "--out", str(ours)]) == 0
    assert f"train with mm_projector_type: mlp2x_gelu, projector_path: {ours}" in capsys.readouterr().out
    assert cli.main(["export-weights", str(ours), "--to", "mm-projector", "--out", str(again)]) == 0
    assert "connector mlp2x_gelu by LLaVA's names" in capsys.readouterr().out
    before, after = (torch.load(path, weights_only=True) for path in (source, again))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert cli.main(["export-weights", str(ours), "--to", "mm-projector", "--out", "x.bin", "--vision-tower", "x"]) == 2
    assert cli.main(["export-weights", str(tmp_path / "absent"), "--to", "llava", "--out", str(tmp_path / "out")]) == 2
    assert "absent does not exist; give a model directory" in capsys.readouterr().err
    assert cli.main(["export-weights", str(tmp_path), "--to", "hf-llava", "--out", str(tmp_path / "out")]) == 2
    assert "holds no config.json and no preprocessor_config.json" in capsys.readouterr().err


def test_a_system_is_read_by_its_name_and_takes_its_own_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The function that reads it gets directories on this machine; what it returns is printed."""
    (tmp_path / "llm").mkdir()
    (tmp_path / "weights.pth").write_bytes(b"x")
    monkeypatch.setitem(SYSTEMS_READ, "seen", SystemImport(read=f"{__name__}:read_seen", takes=("llm",)))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    command = ["import-weights", "seen", str(tmp_path / "weights.pth"), "--out", str(tmp_path / "out")]
    assert cli.main([*command, "--llm", str(tmp_path / "llm")]) == 0
    assert capsys.readouterr().out == f"weights.pth with {tmp_path / 'llm'}\n"
    assert cli.main([*command, "--image-size", "224"]) == 2
    assert "is of kind seen, for which --image-size means nothing" in capsys.readouterr().err
    assert cli.main(["import-weights", "seen", str(tmp_path / "weights.pt"), "--out", str(tmp_path / "out")]) == 2
    assert "weights.pth" in capsys.readouterr().err


def read_seen(source: Path, out: Path, *, llm: Path | None) -> list[str]:
    return [f"{source.name} with {llm}"]
