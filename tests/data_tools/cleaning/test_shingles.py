"""Shingles against sets of words, keys against the similarity they stand for."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np

from pathplugins.data_tools.cleaning.shingles import BANDS, WIDTH, shingle


def sentence(rng: random.Random, words: int) -> list[str]:
    return ["".join(rng.choices("abcdefghij", k=rng.randint(2, 8))) for _ in range(words)]


def test_counts_are_those_of_sets_of_words() -> None:
    rng = random.Random(1)
    captions = [" ".join(rng.choices(["a", "bb", "c", "dd"], k=rng.randint(0, 19))) for _ in range(200)]
    for caption, count in zip(captions, shingle(captions).counts.tolist(), strict=True):
        words = caption.split()
        sets = {tuple(words[at : at + WIDTH]) for at in range(max(1, len(words) - WIDTH + 1))} if words else set()
        assert count == len(sets), caption


def test_a_caption_has_the_same_hashes_in_every_block() -> None:
    rng = random.Random(2)
    captions = [" ".join(sentence(rng, rng.randint(0, 30))) for _ in range(50)] + ["", "Größe é", "x"]
    whole = shingle(captions)
    ends = np.cumsum(whole.counts)
    for at, caption in enumerate(captions):
        alone = shingle([caption])
        assert alone.exact[0] == whole.exact[at]
        assert (alone.keys[0] == whole.keys[at]).all()
        assert alone.values.tolist() == whole.values[ends[at] - whole.counts[at] : ends[at]].tolist()
        assert all(one < other for one, other in pairwise(alone.values.tolist()))


def test_case_and_punctuation_do_not_count_and_order_does() -> None:
    same = shingle(["H&E stain, x40: Lung.", "h e STAIN x40 lung", "e h stain x40 lung", "he stain x40 lung"])
    assert same.exact[0] == same.exact[1]
    assert len(set(same.exact.tolist())) == 3


def test_captions_without_words_have_no_key() -> None:
    none = shingle(["", " ... !"])
    assert none.counts.tolist() == [0, 0]
    assert not none.keys.any()
    assert not none.exact.any()
    assert shingle([]).keys.shape == (0, BANDS)


def test_similar_captions_share_a_key_and_others_do_not() -> None:
    rng = random.Random(3)
    found = strangers = 0
    for _ in range(300):
        one = sentence(rng, 60)
        near = [*one[:-1], "changed"]  # 57 of 59 shingles in common
        keys = shingle([" ".join(one), " ".join(near), " ".join(sentence(rng, 60))]).keys
        found += bool((keys[0] == keys[1]).any())
        strangers += bool((keys[0] == keys[2]).any())
    assert found == 300
    assert strangers == 0
