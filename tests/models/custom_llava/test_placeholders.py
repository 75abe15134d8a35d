"""Which image belongs to which sample, and tokens put where their placeholders stand."""

from __future__ import annotations

import pytest
import torch

from pathplugins.models.custom_llava.placeholders import owned_images, splice


@pytest.mark.parametrize(
    ("slots", "tokens", "owned"),
    [
        ([7], [7], [[0]]),
        ([5, 0, 9], [2, 3, 9], [[0, 1], [], [2]]),
        ([0, 0], [], [[], []]),
        ([3, 3, 6], [3, 3, 1, 5], [[0], [1], [2, 3]]),
    ],
)
def test_images_are_dealt_out_in_order(slots: list[int], tokens: list[int], owned: list[list[int]]) -> None:
    assert owned_images(slots, tokens) == owned


@pytest.mark.parametrize(
    ("slots", "tokens", "where"),
    [
        ([5, 7], [7, 5], "sample 0"),  # the sums agree
        ([5], [], "sample 0"),
        ([5, 4], [5, 6], "sample 1"),
        ([5], [5, 6], "image 1"),
        ([], [6], "image 0"),
    ],
)
def test_a_sample_and_its_images_must_agree(slots: list[int], tokens: list[int], where: str) -> None:
    with pytest.raises(ValueError, match=rf"meet at {where} .*{sum(slots)} image placeholders .*{sum(tokens)} vision"):
        owned_images(slots, tokens)


def test_splice_fills_the_placeholders_and_leaves_the_text() -> None:
    is_image = torch.tensor([[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]], dtype=torch.bool)
    embeds = torch.arange(30.0).view(2, 5, 3)
    features = -torch.arange(1.0, 13.0).view(4, 3).double()
    got = splice(embeds, is_image, features, [2, 1, 1])
    assert got.dtype == torch.float32
    assert torch.equal(got[is_image], features.float())
    assert torch.equal(got[~is_image], embeds[~is_image])
