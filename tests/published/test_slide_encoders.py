"""GigaPath's slide encoder: the row and the tower that computes it agree."""

import pytest

from pathplugins.published.encoders import CARDS
from pathplugins.published.slide_encoders import GIGAPATH

torch = pytest.importorskip("torch")


def test_the_tower_has_the_shape_of_the_row() -> None:
    from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT

    row, config = GIGAPATH, LongNetConfig()
    assert (config.in_chans, config.embed_dim) == (row.feature_dim, row.width)
    assert (config.depth, config.num_heads) == (row.layers, row.heads)
    assert (config.tile_size, config.grid_size) == (row.tile_px, row.grid)
    assert (config.segment_lengths, config.dilated_ratios) == (row.segment_lengths, row.dilated_ratios)
    with torch.device("meta"):
        assert sum(p.numel() for p in LongNetViT(config).parameters()) == row.parameters


def test_it_reads_the_features_of_a_listed_encoder() -> None:
    card = {card.name: card for card in CARDS}[GIGAPATH.patch_encoder]
    assert card.width == GIGAPATH.feature_dim
    assert card.hub_id == GIGAPATH.hub_id
    assert (card.frame.patch_px, card.frame.mpp) == (GIGAPATH.tile_px, GIGAPATH.frame_mpp)
