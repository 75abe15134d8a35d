"""Connector files of every origin, and what their scale means under other bounds (features W25, W26)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.compose.projector import (
    FILE,
    from_published,
    load_projector,
    read_projector,
    save_projector,
    scale_of,
    to_published,
)
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.connectors.mlp import GammaMLPConnector

PUBLISHED = {"gamma_logit", *(f"{n}.{w}" for n in ("linear_1", "ln1", "linear_2", "ln2") for w in ("weight", "bias"))}


def trained(name: str = "gamma_mlp", **options: Any) -> nn.Module:
    torch.manual_seed(6)
    part = CONNECTORS.get(name)(7, 5, **options)
    for parameter in part.parameters():
        nn.init.normal_(parameter)
    return part


def same(part: nn.Module, wanted: nn.Module) -> bool:
    return all(torch.equal(value, wanted.state_dict()[name]) for name, value in part.state_dict().items())


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


def test_we_write_the_published_names(tmp_path: Path) -> None:
    """Nothing upstream writes ``mm_projector.bin``, only reads it, strictly."""
    part = trained()
    path = save_projector(part.state_dict(), tmp_path, {"type": "gamma_mlp", "scale_min": 1.2, "scale_max": 1.8})
    assert path == tmp_path / FILE
    assert set(torch.load(path, weights_only=True)) == PUBLISHED
    assert read_json(tmp_path / "mm_projector.json")["scale_max"] == 1.8
    assert sorted(p.name for p in tmp_path.iterdir()) == [FILE, "mm_projector.json"]
    assert from_published(to_published(part.state_dict())).keys() == part.state_dict().keys()


@pytest.mark.parametrize(
    "prefix", ["", "model.mm_projector.", "mm_projector.", "multi_modal_projector.", "model.multi_modal_projector."]
)
def test_published_files_load_under_any_prefix(tmp_path: Path, prefix: str) -> None:
    part = trained()
    torch.save(prefixed(to_published(part.state_dict()), prefix), tmp_path / FILE)
    fresh = GammaMLPConnector(7, 5)
    load_projector(fresh, tmp_path / FILE)
    assert same(fresh, part)


def test_a_logit_without_an_axis_is_the_same_logit(tmp_path: Path) -> None:
    part = trained()
    torch.save({**to_published(part.state_dict()), "gamma_logit": part.scale_logit.detach()[0]}, tmp_path / FILE)
    fresh = GammaMLPConnector(7, 5)
    load_projector(fresh, tmp_path)
    assert same(fresh, part)


@pytest.mark.parametrize(
    ("name", "layers"), [("mlp2x_gelu", {"linear_1": "0", "linear_2": "2"}), ("linear", {"linear_1": ""})]
)
def test_llavas_own_files(tmp_path: Path, name: str, layers: dict[str, str]) -> None:
    part = trained(name)
    state = {}
    for ours, theirs in layers.items():
        for kind in ("weight", "bias"):
            state[f"model.mm_projector.{theirs}.{kind}".replace("..", ".")] = part.state_dict()[f"{ours}.{kind}"]
    torch.save({**state, "model.embed_tokens.weight": torch.zeros(3, 3)}, tmp_path / FILE)
    fresh = CONNECTORS.get(name)(7, 5)
    load_projector(fresh, tmp_path / FILE)
    assert same(fresh, part)


def test_safetensors_and_whole_checkpoints(tmp_path: Path) -> None:
    part = trained()
    whole = prefixed(part.state_dict(), "multi_modal_projector.")
    whole |= {"model.norm.weight": torch.ones(5), "vision_tower.patch_embed.proj.weight": torch.ones(2, 2)}
    save_file(dict(part.state_dict()), tmp_path / "connector.safetensors")
    for name in ("single", "sharded", "adapter"):
        (tmp_path / name).mkdir()
    save_file(whole, tmp_path / "single" / "model.safetensors")
    shards: dict[str, dict[str, Tensor]] = {"model-1.safetensors": {}, "model-2.safetensors": {}}
    for number, (key, value) in enumerate(whole.items()):
        shards[f"model-{number % 2 + 1}.safetensors"][key] = value
    for file, state in shards.items():
        save_file(state, tmp_path / "sharded" / file)
    weight_map = {key: file for file, state in shards.items() for key in state}
    write_json(tmp_path / "sharded" / "model.safetensors.index.json", {"weight_map": weight_map})
    save_file(prefixed(whole, "base_model.model."), tmp_path / "adapter" / "adapter_model.safetensors")
    for path in ("connector.safetensors", "single", "single/model.safetensors", "sharded", "adapter"):
        fresh = GammaMLPConnector(7, 5)
        load_projector(fresh, tmp_path / path)
        assert same(fresh, part), path


def test_what_peft_keeps_beside_the_trained_copy_is_left_out() -> None:
    """A state dict taken from the running model holds the weights from before training too."""
    part, before = trained(), GammaMLPConnector(7, 5)
    at = "base_model.model.multi_modal_projector."
    state = prefixed(before.state_dict(), at + "original_module.") | prefixed(
        part.state_dict(), at + "modules_to_save.default."
    )
    got = from_published(state)
    assert got.keys() == part.state_dict().keys()
    assert all(torch.equal(got[name], value) for name, value in part.state_dict().items())


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    state = to_published(trained().state_dict())
    del state["ln1.weight"]
    state["linear_1.weight"] = torch.zeros(5, 9)
    torch.save({**state, "ln3.weight": torch.zeros(5)}, tmp_path / FILE)
    expected = (
        r"mm_projector\.bin does not fit the connector GammaMLPConnector: 1 missing: ln1\.weight; 1 unexpected: "
        r"ln3\.weight; 1 of another shape: linear_1\.weight is \(5, 9\), wanted \(5, 7\); check mm_projector_type"
    )
    with pytest.raises(CheckpointError, match=expected):
        load_projector(GammaMLPConnector(7, 5), tmp_path / FILE)


def test_places_without_a_connector_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds neither mm_projector\.bin nor adapter_model\.safetensors nor"):
        read_projector(tmp_path)
    with pytest.raises(CheckpointError, match=r"absent\.bin: no such file"):
        read_projector(tmp_path / "absent.bin")
    torch.save({}, tmp_path / FILE)
    with pytest.raises(CheckpointError, match="wanted the weights of a connector, found none"):
        read_projector(tmp_path)


def saved(tmp_path: Path, bounds: tuple[float, float] | None) -> float:
    """A file of stage 2; returns its scale."""
    part = trained(scale_min=1.2, scale_max=1.8)
    nn.init.constant_(part.scale_logit, 0.9)
    config = {} if bounds is None else {"scale_min": bounds[0], "scale_max": bounds[1]}
    save_projector(part.state_dict(), tmp_path, config)
    return part.scale.item()


@pytest.mark.parametrize("beside", ["mm_projector.json", "config.json"])
def test_other_bounds_are_another_scale_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, beside: str
) -> None:
    """W25: stage 3 narrows the bounds of stage 2; the published code says nothing."""
    scale = saved(tmp_path, (1.2, 1.8))
    if beside == "config.json":
        settings = read_json(tmp_path / "mm_projector.json")
        write_json(tmp_path / "config.json", {"projector_config": settings})
        (tmp_path / "mm_projector.json").unlink()
    part = GammaMLPConnector(7, 5, scale_min=1.6, scale_max=1.9)
    with caplog.at_level(logging.WARNING):
        load_projector(part, tmp_path)
    now = scale_of(0.9, (1.6, 1.9))
    assert part.scale.item() == pytest.approx(now)
    assert f"trained with gamma {scale:.4f} (bounds 1.2 to 1.8)" in caplog.text
    assert f"1.6 to 1.9 the same weights have gamma {now:.4f}" in caplog.text


def test_keep_scale_solves_the_logit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scale = saved(tmp_path, (1.2, 1.8))
    part = GammaMLPConnector(7, 5, scale_min=1.5, scale_max=1.9)
    load_projector(part, tmp_path, keep_scale=True)
    assert part.scale.item() == pytest.approx(scale)
    assert part.scale_logit.item() != pytest.approx(0.9)
    outside = GammaMLPConnector(7, 5, scale_min=1.8, scale_max=1.9)
    with pytest.raises(
        PathPluginsError, match=rf"gamma {scale:.4g} does not lie between gamma_min 1.8 and gamma_max 1.9"
    ):
        load_projector(outside, tmp_path, keep_scale=True)


@pytest.mark.parametrize("keep", [True, False])
def test_the_same_bounds_change_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture, keep: bool) -> None:
    saved(tmp_path, (1.2, 1.8))
    part = GammaMLPConnector(7, 5, scale_min=1.2, scale_max=1.8)
    with caplog.at_level(logging.WARNING):
        load_projector(part, tmp_path, keep_scale=keep)
    assert part.scale_logit.item() == torch.tensor(0.9).item()
    assert not [record for record in caplog.records if record.name.startswith("pathplugins")]


def test_the_scale_of_a_file_without_bounds_cannot_be_kept(tmp_path: Path) -> None:
    saved(tmp_path, None)
    load_projector(GammaMLPConnector(7, 5), tmp_path)
    with pytest.raises(
        PathPluginsError, match=r"keep_gamma: .* does not say between which bounds .*mm_projector\.json"
    ):
        load_projector(GammaMLPConnector(7, 5), tmp_path, keep_scale=True)


def test_a_composed_directory_is_a_source_too(make_vlm: Callable[..., Path], load: Callable[..., Any]) -> None:
    directory = make_vlm(None, projector_config={"scale_min": 1.0, "scale_max": 1.5})
    part = GammaMLPConnector(24, 64)
    load_projector(part, directory, keep_scale=True)
    assert part.scale.item() == pytest.approx(load(directory).multi_modal_projector.scale.item())


def test_markers_may_start_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A connector that was aligned without them."""
    part = trained("norm_mlp")
    save_file(dict(part.state_dict()), tmp_path / "connector.safetensors")
    fresh = CONNECTORS.get("norm_mlp")(7, 5, slide_markers=True)
    fresh.reset_parameters()
    markers = fresh.wsi_index_emb.detach().clone()
    load_projector(fresh, tmp_path / "connector.safetensors")
    assert "holds no wsi_index_emb and no wsi_sep: they start anew" in caplog.text
    assert torch.equal(fresh.wsi_index_emb, markers)
    assert torch.equal(fresh.mlp[0].weight, part.mlp[0].weight)
    save_file({"wsi_sep": markers[0], **part.state_dict()}, tmp_path / "half.safetensors")
    with pytest.raises(CheckpointError, match="wsi_index_emb"):
        load_projector(fresh, tmp_path / "half.safetensors")
