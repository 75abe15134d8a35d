"""Lengths computed by column, against the expansion of every row."""

from __future__ import annotations

from typing import Any

import datasets
import numpy as np
import pytest
from xtuner.utils import IGNORE_INDEX, IMAGE_TOKEN_INDEX

from pathplugins.core.errors import PathPluginsError
from pathplugins.xtuner.conversations import expand
from pathplugins.xtuner.lengths import images_of, measure

IMAGE, MASKED, ENTRIES, TOKEN = IMAGE_TOKEN_INDEX, IGNORE_INDEX, 50, 49


def random_rows(count: int) -> tuple[list[dict[str, Any]], list[list[int]]]:
    rng, rows, tokens = np.random.default_rng(0), [], []
    for _ in range(count):
        ids = rng.integers(0, TOKEN, rng.integers(2, 30))
        ids[rng.random(len(ids)) < 0.15] = IMAGE
        labels = np.where((ids != IMAGE) & (rng.random(len(ids)) < 0.3), ids, MASKED)
        images = [f"{n}.png" for n in range((ids == IMAGE).sum())]
        rows.append({"input_ids": ids.tolist(), "labels": labels.tolist(), "image": images})
        tokens.append(rng.integers(1, 9, len(images)).tolist())
    return rows, tokens


def test_lengths_are_those_of_the_expanded_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathplugins.xtuner.lengths._BATCH", 17)
    rows, tokens = random_rows(100)
    texts = datasets.Dataset.from_list(rows)
    counts, references = images_of(texts)
    assert references == [image for row in rows for image in row["image"]]
    got = measure(
        texts, counts, np.array([count for row in tokens for count in row]), vocabulary=ENTRIES, image_token_id=TOKEN
    )
    dull = 0
    for number, (row, taken) in enumerate(zip(rows, tokens, strict=True)):
        ids, labels = expand(row["input_ids"], row["labels"], taken, TOKEN)
        assert got.total[number] == len(ids)
        if all(label == MASKED for label in labels):
            dull += 1
            assert got.problems[number][0] == "nothing to learn"
            continue
        assert number not in got.problems
        least = int(got.needed[number])
        whole = ids.count(TOKEN)

        def usable(limit: int, ids: list[int] = ids, labels: list[int] = labels, whole: int = whole) -> bool:
            return ids[:limit].count(TOKEN) == whole and any(label != MASKED for label in labels[:limit])

        assert usable(least)
        assert not usable(least - 1)
    assert 0 < dull < 50
    assert got.foreign is None


@pytest.mark.parametrize(
    ("images", "counts", "flat"),
    [
        (["a", None, "b"], [1, 0, 1], ["a", "b"]),
        ([["a", "b"], [], None], [2, 0, 0], ["a", "b"]),
        ([None, None, None], [0, 0, 0], []),
    ],
    ids=["one or none", "lists", "none at all"],
)
def test_images_of_published_and_own_folders(images: list[Any], counts: list[int], flat: list[str]) -> None:
    texts = datasets.Dataset.from_dict({"image": images, "id": ["x", "y", "z"]})
    assert images_of(texts)[0].tolist() == counts
    assert images_of(texts)[1] == flat
    assert images_of(texts.remove_columns("image"))[0].tolist() == [0, 0, 0]
    assert images_of(texts.select([2, 0]))[0].tolist() == [counts[2], counts[0]]


def test_what_is_wrong_with_a_row() -> None:
    ids = [[1, 2], [IMAGE, 2], [IMAGE, 2], [TOKEN, 3], [1, 2]]
    texts = datasets.Dataset.from_dict({"input_ids": ids, "labels": [[MASKED, row[-1]] for row in ids]})
    got = measure(texts, np.array([1, 0, 1, 0, 0]), np.array([7, 5]), vocabulary=ENTRIES, image_token_id=TOKEN)
    assert {row: reason for row, (reason, _) in got.problems.items()} == {
        **{0: "placeholder count", 1: "placeholder count", 3: "image token in the text"}
    }
    assert got.problems[0][1].startswith("0 images stand in the token ids but the row has 1")
    assert got.total.tolist() == [2, 2, 6, 2, 2]  # the 5 of row 2, not the 7 of row 0


@pytest.mark.parametrize("token", [ENTRIES, -7])
def test_ids_the_vocabulary_does_not_have(token: int) -> None:
    texts = datasets.Dataset.from_dict({"input_ids": [[1, 2], [3, token]], "labels": [[1, 2], [3, 3]]})
    got = measure(texts, np.zeros(2, int), np.zeros(0, int), vocabulary=ENTRIES, image_token_id=TOKEN)
    assert got.foreign == (1, token)


def test_a_damaged_row() -> None:
    texts = datasets.Dataset.from_dict({"input_ids": [[1, 2], [3, 4]], "labels": [[1, 2], [3]]})
    with pytest.raises(PathPluginsError, match="row 1 has not as many labels"):
        measure(texts, np.zeros(2, int), np.zeros(0, int), vocabulary=ENTRIES, image_token_id=TOKEN)
