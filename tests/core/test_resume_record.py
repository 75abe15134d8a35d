"""What a run was started with travels in its checkpoints."""

from __future__ import annotations

from pathlib import Path

from pathplugins.core.resume_record import FILE, Change, compare, differences, every_difference, read, sentence, write

RUN = {"batch size": 4, "learning rate": 1e-3, "parts": {"tower": "clip", "layers": (1, 2)}, "epochs": None}


def test_the_same_run_has_no_changes(tmp_path: Path) -> None:
    write(tmp_path, RUN)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert compare(tmp_path, RUN) == []


def test_changes_are_named(tmp_path: Path) -> None:
    write(tmp_path, RUN)
    now = {**RUN, "batch size": 2, "parts": {"tower": "plip", "layers": [1, 2], "selector": "even"}, "epochs": 3}
    changes = compare(tmp_path, now)
    assert changes == [
        Change("batch size", 4, 2),
        Change("epochs", None, 3),
        Change("parts.selector", None, "even"),
        Change("parts.tower", "clip", "plip"),
    ]
    assert sentence(changes[:2]) == "batch size was 4, is 2; epochs was not set, is 3"


def test_a_checkpoint_without_a_record_has_nothing_to_compare(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    assert compare(tmp_path, RUN) == []


def test_conditions_of_another_version_are_passed_over() -> None:
    assert differences({"batch size": 4, "old": 1}, {"batch size": 4, "new": 1}) == []


def test_a_name_that_one_side_lacks() -> None:
    before, now = {"fold": 1, "part": "test"}, {"part": "test", "seed": 3}
    assert differences(before, now) == []
    assert every_difference(before, now) == [Change("fold", 1, None), Change("seed", None, 3)]
