"""Groups of captions against a comparison of all with all."""

from __future__ import annotations

import random

import numpy as np

from pathplugins.data_tools.cleaning.joining import NEAR, Groups, first_with, near_captions
from pathplugins.data_tools.cleaning.shingles import shingle


def jaccard(one: str, other: str) -> float:
    sets = [
        {tuple(words[at : at + 3]) for at in range(max(1, len(words) - 2))} for words in (one.split(), other.split())
    ]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def drawn() -> list[str]:
    """300 captions, of which 90 change one to four words of an earlier one."""
    rng = random.Random(5)
    words = ["".join(rng.choices("abcdefghij", k=5)) for _ in range(500)]
    captions = [" ".join(rng.choices(words, k=rng.randint(8, 60))) for _ in range(210)]
    for _ in range(90):
        changed = rng.choice(captions).split()
        for _ in range(rng.randint(1, 4)):
            changed[rng.choice([0, -1, rng.randrange(len(changed))])] = rng.choice(words)
        captions.append(" ".join(changed))
    return captions


def test_groups_are_those_of_all_comparisons() -> None:
    captions = drawn()
    wanted = Groups(len(captions))
    pairs = [(a, b) for b in range(len(captions)) for a in range(b) if jaccard(captions[a], captions[b]) >= NEAR]
    for one, other in pairs:
        wanted.join(one, other)
    shingles = shingle(captions)
    found, crowded = near_captions(shingles, first_with(shingles.exact))
    assert len(pairs) >= 20
    assert found.tolist() == wanted.all().tolist()
    assert crowded == 0


def test_captions_without_words_are_equal_to_nothing_else() -> None:
    shingles = shingle(["a b c", "", "A, b; c", "..."])
    found, _ = near_captions(shingles, first_with(shingles.exact))
    assert found.tolist() == [0, 1, 0, 1]


def test_many_captions_of_one_template_take_bounded_work() -> None:
    template = " ".join(f"word{at}" for at in range(40))
    captions = [f"{template} {at} a{at} b{at} c{at} d{at} e{at} f{at}" for at in range(400)]  # similarity about 0.7
    shingles = shingle(captions)
    found, crowded = near_captions(shingles, first_with(shingles.exact))
    assert found.tolist() == [*range(400)]
    assert crowded > 0


def test_a_group_is_named_after_its_lowest_member() -> None:
    groups = Groups(6)
    for one, other in [(5, 4), (4, 2), (1, 0)]:
        groups.join(one, other)
    assert groups.all().tolist() == [0, 0, 2, 3, 2, 2]
    assert first_with(np.array([7, 3, 7, 3, 9])).tolist() == [0, 1, 0, 1, 4]
