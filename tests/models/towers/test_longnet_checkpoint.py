"""Slide encoder weights: good and bad files."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from pathplugins.core.errors import CheckpointError
from pathplugins.models.towers.longnet_checkpoint import config_from_state_dict, load_slide_encoder, read_longnet_vit
from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT


def small() -> LongNetViT:
    torch.manual_seed(7)
    return LongNetViT(LongNetConfig(in_chans=10, embed_dim=24, depth=2, num_heads=4, mlp_ratio=1.5))


def released(tmp_path: Path, content: object, name: str = "slide_encoder.pth") -> Path:
    torch.save(content, tmp_path / name)
    return tmp_path / name


def test_loader_takes_the_released_layout_and_the_usual_prefixes(tmp_path: Path) -> None:
    state = small().state_dict()
    beside = {"classifier.0.weight": torch.zeros(2), "tile_encoder.patch_embed.proj.weight": torch.zeros(3, 3, 2, 2)}
    pretraining = {"decoder.layers.0.ffn.fc1.weight": torch.zeros(4, 4), "mask_token": torch.zeros(1, 1, 24)}
    layouts = [
        {"model": OrderedDict(state), "epoch": 3},
        {"state_dict": {f"slide_encoder.{k}": t for k, t in state.items()} | beside},
        {f"module.{k}": t for k, t in (state | pretraining).items()},
        {"model": {"state_dict": {f"module.slide_encoder.{k}": t for k, t in state.items()}}},
    ]
    for content in layouts:
        config, loaded = load_slide_encoder(released(tmp_path, content), num_heads=4)
        assert (config.in_chans, config.embed_dim, config.depth, config.num_heads) == (10, 24, 2, 4)
        LongNetViT(config).load_state_dict(loaded, strict=True)
        assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def test_options_complete_the_weights_and_may_not_contradict_them(tmp_path: Path) -> None:
    path = str(released(tmp_path, {"model": small().state_dict()}))
    given = {"num_heads": 4, "segment_lengths": [8, 20], "dilated_ratios": [1, 2], "embed_dim": 24}
    options, state = read_longnet_vit(path, given)
    assert options.items() >= {"in_chans": 10, "embed_dim": 24, "depth": 2, "segment_lengths": (8, 20)}.items()
    assert len(state) == 47
    with pytest.raises(CheckpointError, match=r"has {'depth': 2} but vision_config says {'depth': 3}"):
        read_longnet_vit(path, {"num_heads": 4, "depth": 3})


def test_loader_reads_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = small().state_dict()
    save_file(state, tmp_path / "slide.safetensors")
    _, loaded = load_slide_encoder(tmp_path / "slide.safetensors", num_heads=4)
    assert loaded.keys() == state.keys()
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "slide.safetensors").read_bytes()[:200])
    with pytest.raises(CheckpointError, match=r"cut\.safetensors: not a whole safetensors"):
        load_slide_encoder(tmp_path / "cut.safetensors", num_heads=4)


def test_partial_weights_are_refused_with_counts(tmp_path: Path) -> None:
    state = small().state_dict()
    del state["norm.weight"], state["encoder.layers.1.ffn.fc2.bias"]
    state["head.weight"] = torch.zeros(3)
    state["cls_token"] = torch.zeros(1, 1, 20)
    path = released(tmp_path, {"model": state})
    expected = (
        r"slide_encoder\.pth: 46 tensors read, 47 wanted: 2 missing: encoder\.layers\.1\.ffn\.fc2\.bias, norm\.weight; "
        r"1 unexpected: head\.weight; 1 of another shape: cls_token"
    )
    with pytest.raises(CheckpointError, match=expected):
        load_slide_encoder(path, num_heads=4)


def test_heads_are_known_for_released_widths_only(tmp_path: Path) -> None:
    path = released(tmp_path, {"model": small().state_dict()})
    with pytest.raises(CheckpointError, match=r"slide_encoder\.pth: .*24 wide.*pass num_heads"):
        load_slide_encoder(path)
    with torch.device("meta"):
        state = LongNetViT(LongNetConfig(embed_dim=1024, depth=3)).state_dict()
    assert config_from_state_dict(state) == LongNetConfig(embed_dim=1024, depth=3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"PK\x03\x04 cut short", "not a whole PyTorch file"),
        (b"\x80\x02garbage", "not a whole PyTorch file"),
        (b"", "an empty file"),
    ],
)
def test_files_that_are_no_weights_say_so(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "slide_encoder.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"slide_encoder\.pth: .*{message}"):
        load_slide_encoder(path)


def test_other_weights_are_no_slide_encoder(tmp_path: Path) -> None:
    for content, message in [
        ({"model": {"fc.weight": torch.zeros(2, 2)}}, "found 0 .* among 1 tensors: fc.weight"),
        ([torch.zeros(2)], "wanted a dictionary of tensors, got a list"),
        ({f"{who}.{k}": t for who in ("student", "teacher") for k, t in small().state_dict().items()}, "found 2"),
    ]:
        with pytest.raises(CheckpointError, match=message):
            load_slide_encoder(released(tmp_path, content), num_heads=4)
    with pytest.raises(CheckpointError, match="no such file"):
        load_slide_encoder(tmp_path / "absent.pth")


def test_another_number_of_heads_than_the_released_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """It loads as well: no shape tells it."""
    state = {"patch_embed.proj.weight": torch.zeros(768, 9), "encoder.layers.0.ffn.fc1.weight": torch.zeros(1, 768)}
    assert config_from_state_dict(state).num_heads == config_from_state_dict(state, num_heads=16).num_heads == 16
    assert "num_heads" not in caplog.text
    assert config_from_state_dict(state, num_heads=12).num_heads == 12
    assert "num_heads 12 for a slide encoder 768 wide: the released ones have 16" in caplog.text
