"""Which towers start from noise."""

from __future__ import annotations

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.compose.fresh_tower import fresh_tower, refuse_frozen

WIDE = {"vision_config": {"feature_dim": 8}}


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ({"vision_model_name": "patch_mlp", **WIDE}, "patch_mlp"),
        ({"vision_model_name": "patch_mlp", **WIDE, "vision_tower": "trained.pth"}, None),
        ({"vision_model_name": "features", **WIDE}, None),
        ({"vision_model_name": "gigapath", "random_vision_seed": 0}, None),
        ({"vision_model_name": "unknown"}, None),
        ({}, None),
    ],
)
def test_those_without_weights_and_with_something_to_learn(parts: dict, name: str | None) -> None:
    assert fresh_tower(parts) == name


def test_frozen_it_is_refused() -> None:
    refuse_frozen(None, frozen=True, how="")
    refuse_frozen("patch_mlp", frozen=False, how="")
    with pytest.raises(PathPluginsError, match=r"patch_mlp starts from random weights .* set it free, or name trained"):
        refuse_frozen("patch_mlp", frozen=True, how="set it free")
