"""CLIP checkpoints: which are read, and what is said of those that are not."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

open_clip = pytest.importorskip("open_clip")
import torch  # noqa: E402
import transformers  # noqa: E402

from pathplugins.core.errors import CheckpointError, PathPluginsError  # noqa: E402
from pathplugins.data_tools.clip.architectures import model_config  # noqa: E402
from pathplugins.data_tools.clip.model import ClipChoice, load_clip  # noqa: E402


def test_quick_gelu_of_the_folder_is_used(open_clip_folder: Path, tmp_path: Path) -> None:
    patches = [*np.random.default_rng(0).integers(0, 256, (2, 41, 41, 3), np.uint8)]
    told = json.loads((open_clip_folder / "open_clip_config.json").read_text())
    told["model_cfg"].pop("quick_gelu")
    (tmp_path / "open_clip_config.json").write_text(json.dumps(told))
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(
        (open_clip_folder / "open_clip_pytorch_model.bin").read_bytes()
    )
    quick, plain = (
        load_clip(ClipChoice(path=path, device="cpu")).patches(patches) for path in (open_clip_folder, tmp_path)
    )
    assert np.abs(quick - plain).max() > 1e-3


def test_a_file_of_weights_needs_an_arch_that_fits(tmp_path: Path) -> None:
    config = model_config("ViT-S-32-alt")
    state = open_clip.CLIP(**config).state_dict()
    path = tmp_path / "model.pt"
    wrapped = {f"module.{key}": value for key, value in state.items()} | {"attn_mask": torch.zeros(2, 2)}
    torch.save({"state_dict": {**wrapped, "context_length": torch.tensor(77)}, "epoch": 3}, path)
    with pytest.raises(
        PathPluginsError, match=r"not record its architecture; its shapes match ViT-S-32-alt: pass --clip-arch ViT-S"
    ):
        load_clip(ClipChoice(path=path, device="cpu"))
    with pytest.raises(CheckpointError, match=r"shapes are those of ViT-S-32-alt: pass --clip-arch ViT-S-32-alt"):
        load_clip(ClipChoice(path=path, arch="ViT-S-32", device="cpu"))
    with pytest.raises(PathPluginsError, match="Did you mean ViT-S-32-alt"):
        load_clip(ClipChoice(path=path, arch="ViT-S-32-al", device="cpu"))
    clip = load_clip(ClipChoice(path=path, arch="ViT-S-32-alt", device="cpu"))
    assert clip.texts(["a"]).shape == (1, config["embed_dim"])
    assert clip.describe()["encoder"] == "ViT-S-32-alt"
    state.pop("ln_final.weight")
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"1 missing and 0 unknown \(ln_final.weight\)"):
        load_clip(ClipChoice(path=path, arch="ViT-S-32-alt", device="cpu"))


def test_a_published_name_suggests_its_row_and_the_said_activation_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "pathgenclip.pt"
    torch.save(open_clip.CLIP(**model_config("ViT-S-32-alt")).state_dict(), path)
    with pytest.raises(PathPluginsError, match=r"its name is that of pathgen-clip: pass --clip-arch pathgen-clip"):
        load_clip(ClipChoice(path=path, device="cpu"))
    with pytest.raises(PathPluginsError, match="the weights do not tell the activation"):
        load_clip(ClipChoice(path=path, arch="ViT-S-32-alt", device="cpu"))
    plain, quick = (
        load_clip(ClipChoice(path=path, arch="ViT-S-32-alt", activation=said, device="cpu"))
        for said in ("gelu", "quick_gelu")
    )
    assert (plain.describe()["activation"], quick.describe()["activation"]) == ("gelu", "quick_gelu")
    assert np.abs(plain.texts(["a"]) - quick.texts(["a"])).max() > 1e-4


def test_what_is_no_clip_is_refused(transformers_clip: Path, tmp_path: Path) -> None:
    def message(path: Path, **options: object) -> str:
        with pytest.raises(PathPluginsError) as caught:
            load_clip(ClipChoice(path=path, device="cpu", **options))
        return str(caught.value)

    assert "hf download" in message(tmp_path / "absent")
    assert "no config.json" in message(tmp_path)
    assert "--clip-arch ViT-B-16" in message(transformers_clip, arch="ViT-B-16")
    assert "which says itself: leave it out" in message(transformers_clip, activation="gelu")
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    assert "model_type 'vit'" in message(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip"')
    assert "not readable as JSON" in message(tmp_path)
    (tmp_path / "open_clip_config.json").write_text(
        '{"model_cfg": {"embed_dim": 4, "text_cfg": {"hf_model_name": "x"}}}'
    )
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"")
    assert "not fetched" in message(tmp_path)


def test_a_text_tower_that_is_missing_is_an_error(transformers_clip: Path, tmp_path: Path) -> None:
    for file in transformers_clip.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").unlink()
    state = transformers.CLIPModel.from_pretrained(transformers_clip).state_dict()
    torch.save({key: value for key, value in state.items() if "text_model" not in key}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="weights of the model are not in it"):
        load_clip(ClipChoice(path=tmp_path, device="cpu"))


def test_no_code_of_a_checkpoint_runs(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps({"visual.proj": Trap()}))
    with pytest.raises(CheckpointError, match=r"a pickle that torch\.save did not write"):
        load_clip(ClipChoice(path=path, arch="ViT-B-16", device="cpu"))
    assert not (tmp_path / "ran").exists()


def test_a_file_that_is_no_clip_says_so(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(3, 5)}, tmp_path / "x.pt")
    with pytest.raises(PathPluginsError, match="its shapes match no model of open_clip: pass the file of a CLIP"):
        load_clip(ClipChoice(path=tmp_path / "x.pt", device="cpu"))
