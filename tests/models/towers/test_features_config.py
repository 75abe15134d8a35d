"""What a tower without positions is told about features, and what it then expects of bags."""

from __future__ import annotations

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagContract
from pathplugins.models.towers import tower_expects
from pathplugins.models.towers.features_config import FeaturesConfig, PatchMLPConfig


def test_a_width_or_an_encoder_is_enough() -> None:
    assert FeaturesConfig(feature_dim=513).feature_dim == 513
    assert FeaturesConfig(encoder="UNI_v2").feature_dim == 1536
    assert PatchMLPConfig(encoder="conch", feature_dim=512, hidden_dim=3).feature_dim == 512


@pytest.mark.parametrize(("encoder", "whole", "alone"), [("midnight12k", 3072, 1536), ("Virchow2", 2560, 1280)])
def test_the_class_token_alone_is_a_width_too(encoder: str, whole: int, alone: int) -> None:
    """TRIDENT keeps it of Midnight-12k and H0-mini, where this table joins it with the mean."""
    assert FeaturesConfig(encoder=encoder).feature_dim == whole
    assert FeaturesConfig(encoder=encoder, feature_dim=alone).feature_dim == alone
    with pytest.raises(PathPluginsError, match=f"are {whole} or {alone} wide, and feature_dim is 768"):
        FeaturesConfig(encoder=encoder, feature_dim=768)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"give feature_dim, the width of the features in your bags; pathdata inspect BAG"),
        ({"encoder": "mine"}, r"nobody here knows the width of 'mine'"),
        ({"encoder": "uni", "feature_dim": 1536}, r"features of uni are 1024 wide, and feature_dim is 1536"),
        ({"feature_dim": 0}, "positive integer, got 0"),
        ({"feature_dim": "512"}, "positive integer, got '512'"),
    ],
)
def test_what_contradicts_or_lacks(options: dict, message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        FeaturesConfig(**options)


@pytest.mark.parametrize("options", [{"hidden_dim": 0}, {"depth": -1}, {"dropout": 1.0}])
def test_sizes_of_patch_mlp(options: dict) -> None:
    with pytest.raises(PathPluginsError, match="hidden_dim must be positive"):
        PatchMLPConfig(feature_dim=3, **options)


def test_bags_need_no_positions_and_must_be_of_the_encoder_that_is_named() -> None:
    wanted = BagContract(feature_dim=1024, frame_mpp=None, grid=None, expects_encoder="uni", slide_token=False)
    assert tower_expects({"model_type": "features", "encoder": "uni"}) == wanted
    assert not wanted.needs_positions
    assert tower_expects({"model_type": "patch_mlp", "feature_dim": 7}).expects_encoder is None
