"""Texts in one buffer and coded texts behave as lists of text do, and take few bytes."""

from __future__ import annotations

import pickle
import time

import numpy as np

from pathplugins.data.patch_sets.texts import Coded, TextsBuilder


def test_texts_are_a_sequence() -> None:
    words = ["a/b.png", "", "Drüse.jpg", "a/b.png"]
    builder = TextsBuilder()
    for word in words:
        builder.add(word.encode())
    texts = builder.build()
    assert [*texts] == words == [texts[i] for i in range(4)]
    assert texts[-2] == "Drüse.jpg"
    assert "Drüse.jpg" in texts
    assert [*texts[1:3]] == words[1:3]
    assert [*texts.take(np.array([2, 0]))] == [words[2], words[0]]
    assert [*pickle.loads(pickle.dumps(texts))] == words


def test_coded_texts() -> None:
    coded = Coded.of(["b", "", "b", "a"])
    assert [*coded] == ["b", "", "b", "a"]
    assert coded.values == ("b", "", "a")
    assert coded.where("b").tolist() == [0, 2]
    assert coded.where("c").tolist() == []
    assert [*coded.take(np.array([3, 1]))] == [*coded[::-2]] == ["a", ""]


def test_a_million_names_are_small() -> None:
    builder, started = TextsBuilder(), time.perf_counter()
    for number in range(1_000_000):
        builder.add(b"adrenal_gland/TCGA-02-0001-01Z-00-DX1_%07d.jpg" % number)
    texts = builder.build()
    assert texts[999_999].endswith("0999999.jpg")
    assert len(pickle.dumps(texts)) < 70e6  # 46 bytes of text, 16 of bounds; a list of str takes 130
    assert time.perf_counter() - started < 10
