"""Draws of where pictures are cut and how they change: their statistics are torchvision's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torchvision.transforms import ColorJitter, RandomResizedCrop

from pathplugins.classify.pictures.augment import SELF_SUPERVISED, SUPERVISED, Augment
from pathplugins.classify.pictures.draws import ORDERS, Draw, draw, draw_box, generator

NUMBER = 3000


def same_distribution(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Kolmogorov and Smirnov's test at a level of 1e-4."""
    every = np.sort(np.concatenate([ours, theirs]))
    shares = [np.searchsorted(np.sort(one), every, side="right") / len(one) for one in (ours, theirs)]
    return np.abs(shares[0] - shares[1]).max() < 2.2 * np.sqrt(1 / len(ours) + 1 / len(theirs))


@pytest.mark.parametrize("size", [(512, 512), (300, 512), (161, 97)], ids=str)
def test_boxes_are_distributed_as_those_of_torchvision(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    blank = torch.empty(3, size[1], size[0])
    drawn = [RandomResizedCrop.get_params(blank, [0.8, 1.0], [3 / 4, 4 / 3]) for _ in range(NUMBER)]
    theirs = np.array([(left, top, width, height) for top, left, height, width in drawn])
    ours = np.array([draw_box(SUPERVISED, size, generator(1, 0, i, 0), None) for i in range(NUMBER)])
    assert (ours >= 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= size).all()
    measures: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "area": lambda box: box[:, 2] * box[:, 3] / (size[0] * size[1]),
        "ratio": lambda box: box[:, 2] / box[:, 3],
        "x": lambda box: box[:, 0] + box[:, 2] / 2,
        "y": lambda box: box[:, 1] + box[:, 3] / 2,
    }
    wrong = [name for name, measure in measures.items() if not same_distribution(measure(ours), measure(theirs))]
    assert wrong == []


def test_another_distribution_is_seen() -> None:
    boxes = [
        np.array(
            [
                draw_box(Augment(crop="resized", crop_area=(low, 1.0)), (512, 512), generator(0, 0, i, 0), None)
                for i in range(NUMBER)
            ]
        )
        for low in (0.8, 0.82)
    ]
    assert not same_distribution(*(box[:, 2] * box[:, 3] for box in boxes))


def test_colours_are_drawn_as_those_of_torchvision() -> None:
    rows = np.array([draw(SELF_SUPERVISED, generator(2, 0, i, 0)) for i in range(NUMBER)])
    at = {name: rows[:, place] for place, name in enumerate(Draw._fields)}
    changed = at["hue"] != 0
    shares = {
        "jitter": (changed.mean(), 0.8),
        "grey": (at["grey"].mean(), 0.2),
        "blur": ((at["sigma"] > 0).mean(), 0.5),
        "flip_x": (at["flip_x"].mean(), 0.5),
        "flip_y": (at["flip_y"].mean(), 0.5),
        "both": ((at["flip_x"] * at["flip_y"]).mean(), 0.25),
    }
    assert {name: got for name, (got, wanted) in shares.items() if abs(got - wanted) > 0.035} == {}
    torch.manual_seed(0)
    ranges = [[0.6, 1.4]] * 3 + [[-0.1, 0.1]]
    theirs = np.array([ColorJitter.get_params(*ranges)[1:] for _ in range(NUMBER)])
    for place, name in enumerate(("brightness", "contrast", "saturation", "hue")):
        assert same_distribution(at[name][changed], theirs[:, place]), name
        assert (at[name][~changed] == getattr(Draw(), name)).all()
    sigmas = at["sigma"][at["sigma"] > 0]
    assert same_distribution(sigmas, np.random.default_rng(0).uniform(0.1, 2.0, NUMBER))
    assert same_distribution(at["order"], np.arange(NUMBER) % len(ORDERS))


def test_draws_follow_from_what_names_them() -> None:
    for names in [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]:
        assert draw(SUPERVISED, generator(*names)) == draw(SUPERVISED, generator(*names))
        assert draw(SUPERVISED, generator(*names)) != draw(SUPERVISED, generator(0, 0, 0, 0))


def test_a_window_is_anywhere_and_the_middle_is_the_middle() -> None:
    places = {draw_box(Augment(crop="window"), (34, 33), generator(0, 0, i, 0), 32) for i in range(100)}
    assert places == {(x, y, 32, 32) for x in range(3) for y in range(2)}
    assert draw_box(Augment(), (512, 500), generator(0, 0, 0, 0), 287) == (112, 106, 287, 287)
    assert draw_box(Augment(), (40, 31), generator(0, 0, 0, 0), None) == (4, 0, 31, 31)
