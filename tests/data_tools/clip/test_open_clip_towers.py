"""CLIPs of open_clip: activation, and all weights or none."""

import json
from pathlib import Path

import numpy as np
import pytest

open_clip = pytest.importorskip("open_clip")
import torch  # noqa: E402

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
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 3}, path)
    with pytest.raises(
        PathPluginsError, match=r"not record its architecture; its shapes match ViT-S-32-alt: pass --clip-arch ViT-S"
    ):
        load_clip(ClipChoice(path=path, device="cpu"))
    with pytest.raises(CheckpointError, match=r"shapes match ViT-S-32-alt: pass --clip-arch ViT-S-32-alt"):
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


def test_numbers_and_masks_beside_the_weights_are_no_weights(tmp_path: Path) -> None:
    """Files made from OpenAI's hold them."""
    state = open_clip.CLIP(**model_config("ViT-S-32-alt")).state_dict()
    beside = {"input_resolution": torch.tensor(224), "attn_mask": torch.zeros(77, 77), "vocab_size": torch.tensor(9)}
    torch.save({f"module.{name}": value for name, value in {**state, **beside}.items()}, tmp_path / "x.pt")
    clip = load_clip(ClipChoice(path=tmp_path / "x.pt", arch="ViT-S-32-alt", device="cpu"))
    assert clip.texts(["a"]).shape[0] == 1
