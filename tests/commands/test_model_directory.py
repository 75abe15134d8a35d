"""A directory that is no model of ours is called what it is, before any weights are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pathplugins.cli import main
from pathplugins.commands.model_directory import adapter_directory, model_directory
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_json

pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def here(vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of everything that people take for a model."""
    (tmp_path / "saves").mkdir()
    (tmp_path / "saves" / "merged").symlink_to(vlm)
    write_json(tmp_path / "saves" / "stage3" / "adapter_config.json", {"base_model_name_or_path": "saves/base"})
    for step in (9, 100):
        write_json(tmp_path / "saves" / "phase1" / f"checkpoint-{step}" / "config.json", {})
    (tmp_path / "saves" / "stage2").mkdir()
    (tmp_path / "saves" / "stage2" / "mm_projector.bin").touch()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "iter_60.pth").touch()
    write_json(tmp_path / "llm" / "config.json", {"model_type": "llama"})
    write_json(tmp_path / "vicuna" / "config.json", {"model_type": "llava_llama", "mm_vision_tower": "openai/clip"})
    write_json(tmp_path / "qwen" / "config.json", {"model_type": "qwen2_vl", "vision_config": {}})
    write_json(tmp_path / "bare" / "config.json", {"model_type": "custom_llava"})
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "config.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("here")
def test_a_model_is_found() -> None:
    assert model_directory("saves/merged") == Path("saves/merged")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mergedd", "MODEL mergedd: no such directory"),
        ("saves/mergedd", "MODEL saves/mergedd: no such directory; did you mean saves/merged?"),
        ("savs/merged", "MODEL savs/merged is neither a path nor a hub repository that can be fetched"),
        ("./savs/merged", "MODEL ./savs/merged: no such directory; did you mean saves/merged?"),
        ("saves/merged/config.json", "MODEL saves/merged/config.json is a file; give the directory of a model, saves/"),
        ("llm", "llm is a plain language model (llama), which reads neither images nor bags; give it a vision tower: "),
        (
            "vicuna",
            "vicuna is a llava_llama of another project; bring it here: pathplugins import-weights vicuna --out",
        ),
        ("qwen", "qwen is a qwen2_vl, not a custom_llava; give a directory of 'pathplugins compose'"),
        (
            "saves/stage3",
            "saves/stage3 is a LoRA adapter, not a model: give the model it was trained on, "
            "`saves/base --adapter saves/stage3`",
        ),
        ("saves/stage2", "saves/stage2 holds a trained connector (mm_projector.bin) and no model: export with project"),
        (
            "saves/phase1",
            "saves/phase1 holds no model (no config.json); it holds checkpoint-100, checkpoint-9; give one of its "
            "checkpoints, e.g. saves/phase1/checkpoint-100",
        ),
        ("work", "pathplugins export xtuner work/iter_60.pth --config CONFIG.py --out DIR"),
        ("bare", "bare holds no weights (*.safetensors); it holds config.json. Copy it again"),
        ("torn", "torn/config.json is not JSON"),
    ],
)
def test_everything_else_is_called_what_it_is(name: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PathPluginsError) as error:
        model_directory(name)
    assert message in str(error.value)
    assert main(["ask", name, "--bag", "slide.h5", "--question", "?"]) == 2
    assert capsys.readouterr().err == f"error: {error.value}\n"


@pytest.mark.usefixtures("here")
def test_an_adapter_is_told_from_a_model() -> None:
    assert adapter_directory("saves/stage3") == Path("saves/stage3")
    with pytest.raises(
        PathPluginsError, match=r"--adapter saves/stage33: no such directory; did you mean saves/stage3"
    ):
        adapter_directory("saves/stage33")
    with pytest.raises(PathPluginsError, match=r"--adapter saves/merged holds no adapter_config.json \(it holds "):
        adapter_directory("saves/merged")


def test_a_model_without_its_reader_says_which_files_are_missing(make_vlm: Callable[..., Path], tmp_path: Path) -> None:
    source = make_vlm(None)
    for path in source.iterdir():
        if path.name != "preprocessor_config.json":
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(PathPluginsError, match="holds a model but no preprocessor_config"):
        model_directory(str(tmp_path))
