"""Norms of timm's models in any number type, and batch norms without buffers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pathplugins.models.towers.timm_norms import ChannelAffine, LayerNorm2d, folded, rename_scales, take_any_type

timm = pytest.importorskip("timm")


def batch_norm(kind: type[nn.Module]) -> nn.Module:
    norm = kind(5, eps=0.01).eval()
    for value in norm.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 2)
    return norm


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, timm.layers.BatchNormAct2d])
def test_a_batch_norm_becomes_a_factor_and_a_summand(kind: type[nn.Module]) -> None:
    whole, ours = nn.Sequential(batch_norm(kind)), nn.Sequential(kind(5, eps=0.01))
    take_any_type(ours)
    ours.load_state_dict(folded(whole, whole.state_dict()))
    x = torch.randn(2, 5, 3, 7)
    torch.testing.assert_close(ours.train()(x), whole(x))
    assert isinstance(ours[0], ChannelAffine)
    assert set(ours.state_dict()) == {"0.weight", "0.bias"}


def test_a_batch_norm_without_weights_of_its_own() -> None:
    whole = nn.Sequential(nn.BatchNorm2d(5, affine=False)).eval()
    whole[0].running_mean.uniform_(1, 2)
    state = folded(whole, whole.state_dict())
    torch.testing.assert_close(state["0.bias"], -whole[0].running_mean / (1 + 1e-5) ** 0.5)


def test_a_layer_norm_of_a_map_normalises_its_channels() -> None:
    whole = nn.Sequential(timm.layers.LayerNorm2d(5, eps=0.01))
    with torch.no_grad():
        whole[0].weight.uniform_(0.5, 2)
    ours = nn.Sequential(timm.layers.LayerNorm2d(5, eps=0.01))
    take_any_type(ours)
    assert type(ours[0]) is LayerNorm2d
    ours.load_state_dict(whole.state_dict())
    x = torch.randn(2, 5, 3, 7)
    torch.testing.assert_close(ours(x), whole(x))
    assert ours(x.bfloat16()).dtype == torch.bfloat16


def test_scales_get_names_that_transformers_leaves_alone() -> None:
    """Transformers 4.48 reads ``ls1.gamma`` of a checkpoint as ``ls1.weight`` and draws the scale anew."""
    model = timm.create_model("test_vit", init_values=0.3, num_classes=0).eval()
    state, x = {name: value.clone() for name, value in model.state_dict().items()}, torch.randn(1, 3, 160, 160)
    wanted = model(x)
    rename_scales(model)
    names = set(model.state_dict())
    assert "blocks.0.ls1.factor" in names
    assert not [name for name in names if "gamma" in name or "beta" in name]
    torch.testing.assert_close(model(x), wanted)
    with torch.no_grad():
        model.blocks[0].ls1.factor.zero_()
    assert not torch.allclose(model(x), wanted)
    model.load_state_dict(folded(model, state))
    torch.testing.assert_close(model(x), wanted)
