"""The batch step."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import functional

from pathplugins.classify.pictures.batch import BatchAugment
from pathplugins.classify.pictures.blur import blur
from pathplugins.classify.pictures.draws import ORDERS, Draw

MEAN, STD = (0.7, 0.5, 0.6), (0.2, 0.25, 0.3)


def pictures(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, (*shape, 3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_nothing_drawn_is_normalisation_alone() -> None:
    x = pictures(3)
    wanted = functional.normalize(x / 255, MEAN, STD)
    batch = BatchAugment(mean=MEAN, std=STD)
    assert torch.allclose(batch(x), wanted, atol=1e-5)
    assert torch.allclose(batch(x, torch.tensor([Draw()] * 3)), wanted, atol=1e-5)
    assert batch.state_dict() == {}


@pytest.mark.parametrize("order", [0, 5, 13, 23])
def test_a_row_says_all_that_happens(order: int) -> None:
    x = pictures(2)
    row = Draw(flip_x=1, brightness=1.3, contrast=0.7, saturation=1.2, hue=0.07, order=order, sigma=0.9)
    wanted = functional.hflip(x[1] / 255)
    for name in ORDERS[order]:
        wanted = getattr(functional, f"adjust_{name}")(wanted, getattr(row, name))
    wanted = functional.normalize(blur(wanted[None], torch.tensor([0.9]))[0], MEAN, STD)
    got = BatchAugment(mean=MEAN, std=STD)(x, torch.tensor([Draw(), row]))
    assert torch.allclose(got[0], functional.normalize(x[0] / 255, MEAN, STD), atol=1e-5)
    assert (got[1] - wanted).abs().max() < 5e-3


def test_pictures_do_not_meddle_with_each_other() -> None:
    """On the processor pictures go one by one, on a GPU all at once; both give what a picture alone gives."""
    x = pictures(5)
    rows = torch.tensor(
        [
            Draw(flip_x=1, brightness=1.2, contrast=0.8, order=3),
            Draw(flip_y=1, hue=-0.1, order=9, grey=1),
            Draw(saturation=0.7, hue=0.1, order=3, sigma=1.5),
            Draw(),
            Draw(flip_x=1, flip_y=1, brightness=0.7, order=20, sigma=0.5),
        ]
    )
    batch = BatchAugment(mean=MEAN, std=STD)
    single = torch.cat([batch(x[i : i + 1], rows[i : i + 1]) for i in range(5)])
    assert torch.equal(batch(x, rows), single)
    batch.at_once = 5
    assert torch.allclose(batch(x, rows), single, atol=1e-4)


def test_views_and_masks() -> None:
    x, rows = pictures(2, 2), torch.tensor([[Draw(), Draw(flip_x=1)], [Draw(flip_y=1), Draw(grey=1)]])
    batch = BatchAugment(mean=MEAN, std=STD)
    got = batch(x, rows)
    assert got.shape == x.shape
    assert torch.equal(got[0, 1], batch(x[0, 1:], rows[0, 1:])[0])
    masks = torch.arange(2 * 6, dtype=torch.uint8).view(2, 2, 3)
    flipped = batch.masks(masks, torch.tensor([Draw(flip_x=1, brightness=2, sigma=1), Draw(flip_y=1)]))
    assert torch.equal(flipped, torch.stack([masks[0].flip(1), masks[1].flip(0)]))
    assert torch.equal(masks, torch.arange(12, dtype=torch.uint8).view(2, 2, 3)), "the masks given are unchanged"
