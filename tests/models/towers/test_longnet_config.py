from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from pathplugins.models.towers.longnet_config import LongNetConfig, longnet_expects


def test_config_survives_json() -> None:
    config = LongNetConfig(embed_dim=32, num_heads=2, segment_lengths=[8, 20], dilated_ratios=[1, 2])
    assert LongNetConfig(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embed_dim": 770}, "multiple of num_heads=16 and 4, got 770"),
        ({"dilated_ratios": (1, 2)}, "one dilated ratio per segment length"),
        ({"segment_lengths": (8,), "dilated_ratios": (16,)}, "ratios must be in"),
        ({"depth": 0}, "depth must be positive, got 0"),
        ({"dropout": 1.0}, "dropout must be in"),
    ],
)
def test_config_judges_itself(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LongNetConfig(**changes)


@pytest.mark.parametrize(("width", "encoder"), [(1536, "gigapath"), (1024, None)])
def test_the_released_width_is_of_its_patch_encoder(width: int, encoder: str | None) -> None:
    got = longnet_expects({"in_chans": width, "grid_size": 17})
    assert (got.feature_dim, got.expects_encoder, got.grid, got.tile_px, got.frame_mpp) == (
        width,
        encoder,
        17,
        256,
        0.5,
    )
    assert longnet_expects({}).feature_dim == LongNetConfig().in_chans
