"""What stands in the text in the place of a slide."""

from __future__ import annotations

import pytest

from pathplugins.data.records import Record, Turn
from pathplugins.data_tools.slide_images.wording import Pictures, with_pictures

A = Pictures(
    files=("p/a/1.jpg", "p/a/2.jpg"),
    positions={"mm": [[0.5, 12.25], [3.0, 0.13]], "normalised": [[0.1, 0.9], [0.25, 1.0]]},
)
B = Pictures(files=("p/b/1.jpg",), positions={"mm": [[7.0, 7.0]], "normalised": [[0.5, 0.5]]})


def record(*turns: tuple[str, str], slides: int) -> Record:
    conversations = tuple(Turn(*turn) for turn in turns)  # type: ignore[arg-type]
    return Record(id="1", conversations=conversations, images=("s",) * slides, meta={}, source="x", row=1)


@pytest.mark.parametrize(
    ("positions", "text"),
    [
        ("none", "<image><image>\nGrade?"),
        ("mm", "Patch 1 at x 0.50 mm, y 12.25 mm: <image>\nPatch 2 at x 3.00 mm, y 0.13 mm: <image>\nGrade?"),
        ("normalised", "Patch 1 at x 0.100, y 0.900: <image>\nPatch 2 at x 0.250, y 1.000: <image>\nGrade?"),
    ],
)
def test_one_slide(positions: str, text: str) -> None:
    made = with_pictures(record(("user", "<image>\nGrade?"), ("assistant", "G1"), slides=1), [A], positions)  # type: ignore[arg-type]
    assert made.conversations == (("user", text), ("assistant", "G1"))
    assert made.images == A.files


def test_several_slides_are_numbered_through_all_turns() -> None:
    turns = (("user", "<image>\nFirst?"), ("assistant", "Yes."), ("user", "And <image>?"), ("assistant", "No."))
    made = with_pictures(record(*turns, slides=2), [B, A], "none")
    assert made.conversations[0].text == "Slide 1: <image>\nFirst?"
    assert made.conversations[2].text == "And Slide 2: <image><image>?"
    assert made.images == (*B.files, *A.files)
    placed = with_pictures(record(*turns, slides=2), [B, B], "mm")
    assert placed.conversations[2].text == "And Slide 2, patch 1 at x 7.00 mm, y 7.00 mm: <image>?"
