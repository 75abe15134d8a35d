"""Divide groups over parts so that each part has its share of every class, and no group is divided.

Axes: N samples, G groups, K classes, P parts. The largest groups go first, each to the part that is furthest behind its
share (the rule of Sainte-Lague, which favours neither large nor small parts). Then a part that lacks a class gets a
group of it, drawn by the seed, wherever the class has groups enough.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from pathplugins.data.splits.groups import coded

_WEIGHT_OF_SIZE = 0.1  # of the size of a part against its classes: decides between parts that are equal in class


def divide(groups: Sequence[str], labels: Sequence[str], shares: Sequence[float], seed: Sequence[int]) -> np.ndarray:
    """Return the part of every sample: int64 [N], numbers of ``shares``.

    The same groups, labels and seed give the same parts, in whatever order the samples come.

    Args:
        groups: Group of each sample.
        labels: Class of each sample; all alike where there are none.
        shares: Share of the samples that each part is to have; 0 leaves a part empty.
        seed: Seeds the random numbers.
    """
    names, group_of = coded(groups)
    classes, class_of = coded(labels)
    pairs, counts = np.unique(group_of * len(classes) + class_of, return_counts=True)
    rows, columns = pairs // len(classes), pairs % len(classes)
    starts = np.searchsorted(rows, np.arange(len(names) + 1))
    held = [
        dict(zip(columns[start:end].tolist(), counts[start:end].tolist(), strict=True))
        for start, end in itertools.pairwise(starts)
    ]  # G x {class: samples}
    rng = np.random.default_rng(list(seed))
    order = _order(rows, columns, counts, rng)
    totals = np.bincount(class_of, minlength=len(classes))
    part_of = _dealt(held, order, totals, shares)
    _give_lacking_classes(held, part_of, [part for part, share in enumerate(shares) if share > 0], rng)
    return np.asarray(part_of, np.int64)[group_of]


def _order(rows: np.ndarray, columns: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Order groups: those with a rare class first, then the largest, then by chance."""
    sizes = np.bincount(rows, counts)  # [G]
    groups_of_class = np.bincount(columns)  # [K]
    rarity = np.full(len(sizes), len(rows) + 1)
    np.minimum.at(rarity, rows, groups_of_class[columns])
    return np.lexsort((rng.random(len(sizes)), -sizes, rarity)).tolist()


def _dealt(held: list[dict[int, int]], order: list[int], totals: np.ndarray, shares: Sequence[float]) -> list[int]:
    """Return the part of every group."""
    used = [part for part, share in enumerate(shares) if share > 0]
    wanted = {part: (totals * shares[part]).tolist() for part in used}  # P x [K] samples
    wanted_size = {part: float(totals.sum() * shares[part]) for part in used}
    has = {part: [0] * len(totals) for part in used}
    size = dict.fromkeys(used, 0)
    part_of = [0] * len(held)
    for group in order:
        inside = held[group]
        samples = sum(inside.values())

        def fullness(part: int, inside: dict[int, int] = inside, samples: int = samples) -> float:
            goal, now = wanted[part], has[part]
            classes = sum(count * (now[each] + count / 2) / goal[each] for each, count in inside.items()) / samples
            return classes + _WEIGHT_OF_SIZE * (size[part] + samples / 2) / wanted_size[part]

        part = part_of[group] = min(used, key=fullness)
        for each, count in inside.items():
            has[part][each] += count
        size[part] += samples
    return part_of


def _give_lacking_classes(
    held: list[dict[int, int]], part_of: list[int], parts: list[int], rng: np.random.Generator
) -> None:
    """Move one group into each part that lacks a class, out of a part that keeps another one of each class."""
    with_class: dict[int, list[int]] = {}
    for group, inside in enumerate(held):
        for each in inside:
            with_class.setdefault(each, []).append(group)
    number = {(part, each): 0 for part in parts for each in with_class}  # groups of the class in the part
    for group, inside in enumerate(held):
        for each in inside:
            number[part_of[group], each] += 1
    for each in sorted(with_class, key=lambda each: len(with_class[each])):
        for part in parts:
            if number[part, each]:
                continue
            spare = [g for g in with_class[each] if all(number[part_of[g], other] > 1 for other in held[g])]
            if not spare:
                continue
            most = max(number[part_of[group], each] for group in spare)
            group = rng.choice([group for group in spare if number[part_of[group], each] == most]).item()
            for other in held[group]:
                number[part_of[group], other] -= 1
                number[part, other] += 1
            part_of[group] = part
