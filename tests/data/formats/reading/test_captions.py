"""Captions become answers to requests that depend on the seed and the id alone."""

from __future__ import annotations

import pytest

from pathplugins.data.formats.reading.captions import caption_draft
from pathplugins.data.formats.reading.rows import BadRowError, Row
from pathplugins.data.prompts import PATCH_CAPTION_REQUESTS

ROWS = [
    Row("m", number, {"image": f"x/{number}.v1.jpg", "caption": f"Text {number}.", "k": "v"}) for number in range(99)
]


def test_request_and_place_are_drawn_by_seed_and_id() -> None:
    first, again, other = ([caption_draft(seed=seed)(row).conversations[0].text for row in ROWS] for seed in (0, 0, 1))
    assert first == again != other
    assert {text.replace("<image>", "").strip() for text in first} <= {*PATCH_CAPTION_REQUESTS}
    assert 20 < sum(text.startswith("<image>\n") for text in first) < 79
    moved = ROWS[5]._replace(number=700, source="other")
    assert caption_draft()(moved).conversations[0].text == first[5]


def test_names_cells_and_meta() -> None:
    draft = caption_draft(image="file", caption="words", meta=("k", "absent"))
    record = draft(Row("m", 3, {"file": "a.v1.jpg", "words": " Fett. ", "k": 4}))
    assert (record.id, record.images, record.meta) == ("a.v1", ("a.v1.jpg",), {"k": "4"})
    assert record.conversations[1] == ("assistant", "Fett.")
    assert draft(Row("m", 3, {"file": "a.jpg", "words": "x", "id": "own"})).id == "own"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"caption": "x"}, "no image"),
        ({"image": "a", "caption": "see <image>"}, "misplaced placeholder"),
        ({"image": "a", "caption": ["x"]}, "not text"),
    ],
)
def test_bad_rows(cells: dict[str, object], reason: str) -> None:
    with pytest.raises(BadRowError) as error:
        caption_draft()(Row("m", 1, cells))
    assert error.value.reason == reason
