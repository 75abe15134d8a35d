"""Candidates of the token selector, from towers that answer with numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.vision_tokens import (
    bag_candidates,
    check_budget,
    image_candidates,
    question_embeddings,
    token_places,
)
from pathplugins.models.selectors.keep_all import KeepAll
from pathplugins.models.selectors.prumerge import PruMerge
from pathplugins.models.towers.cls_attention import ClsAttention

TILES = torch.arange(5.0).reshape(5, 1, 1, 1)
VISION = {"pixel_values": TILES, "tile_counts": torch.tensor([3, 2])}


class Tower(nn.Module):
    """Four tokens a tile, each the number of its tile; attention likewise."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        tokens = pixels.reshape(-1, 1, 1).expand(-1, 4, 2)  # [T, 4, 2]
        return tokens[:, 0], tokens

    def attend(self, pixels: Tensor, *, layer: int | None) -> tuple[Tensor, Tensor, ClsAttention]:
        del layer
        cls, tokens = self(pixels)
        return cls, tokens, ClsAttention(tokens[..., 0].flatten(), tokens.flatten(0, 1))


class First(nn.Module):
    """Merges the tiles of an image into those of its thumbnail."""

    def forward(self, tokens: Tensor, tiles: list[int]) -> Tensor:
        return torch.stack([image[0] for image in tokens.split(tiles)])  # [I, N, C]


def test_an_image_owns_the_tokens_of_all_its_tiles() -> None:
    got = image_candidates(Tower(), KeepAll(2, 3), VISION, None)
    assert got["counts"] == [12, 8]
    assert got["tokens"][:, 0].tolist() == [n for n in range(5) for _ in range(4)]
    assert "attention" not in got


def test_merged_tiles_are_seen_where_the_thumbnail_looks() -> None:
    got = image_candidates(Tower(), PruMerge(2, 3), VISION, First())
    assert got["counts"] == [4, 4]
    assert got["tokens"][:, 0].tolist() == got["attention"].tolist() == [0] * 4 + [3] * 4
    assert got["keys"].shape == (8, 2)


def test_a_bag_keeps_its_positions_and_its_slide_token() -> None:
    coords = torch.tensor([[0, 256], [512, 0], [256, 256]])

    def tower(features: Tensor, places: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        assert places is coords
        return torch.stack([bag.sum(0) for bag in features.split(counts.tolist())]), features

    vision = {"patch_features": torch.eye(3), "patch_coords": coords, "patch_counts": torch.tensor([2, 1])}
    got = bag_candidates(tower, KeepAll(3, 3), vision)  # type: ignore[arg-type]
    assert (got["counts"], got["cls"].tolist()) == ([2, 1], [[1, 1, 0], [0, 0, 1]])
    assert got["coords"] is coords


def test_tiles_lie_side_by_side() -> None:
    places = token_places(torch.zeros(2, 4, 1)).tolist()
    assert places == [[0, 0], [1, 0], [0, 1], [1, 1], [2, 0], [3, 0], [2, 1], [3, 1]]


@pytest.mark.parametrize(("ids", "marks"), [(None, {}), (torch.zeros(1, 2, dtype=torch.long), None)])
def test_a_question_needs_text_and_marks(ids: Tensor | None, marks: dict | None) -> None:
    with pytest.raises(PathPluginsError, match="looks at the question: pass input_ids"):
        question_embeddings(nn.Embedding(3, 2), ids, None, [1], image_token_id=2, marks=marks)


def test_a_budget_that_leaves_nothing_is_refused() -> None:
    """Only a slide token stays beside a budget of 0."""
    bags, images = nn.Module(), nn.Module()
    bags.reads, images.reads = "bags", "images"
    check_budget(bags, 0)
    for tower in (bags, images):
        tower.slide_token = False
        check_budget(tower, 1)
        with pytest.raises(PathPluginsError, match="image_seq_length is 0: Module gives no slide token to keep"):
            check_budget(tower, 0)
