"""The nearest name, and the nearest path that exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.nearest import near_path, nearest


@pytest.fixture
def saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("saves/stage2/checkpoint-20", "saves/merged", ".saves"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nearest() -> None:
    assert nearest("mergedd", ["stage2", "merged"]) == "merged"
    assert nearest("zzz", ["stage2", "merged"]) is None


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("savs/merged", "; did you mean saves/merged?"),
        ("saves/mergedd", "; did you mean saves/merged?"),
        ("savs/anything", "; did you mean saves?"),
        ("saves/stag2/checkpoint-20", "; did you mean saves/stage2/checkpoint-20?"),
        ("saves/zzz", "; saves holds merged, stage2"),
        ("saves/stage2/checkpoint-20/x", ""),
        ("lab/model", ""),
        ("saves/" + "x" * 300, ""),
        ("saves/stage2", "; it is a folder: name one of its files"),
        ("note.txt", "; it is a file, not a folder"),
    ],
)
@pytest.mark.usefixtures("saves")
def test_relative_paths(wrong: str, hint: str) -> None:
    Path("note.txt").touch()
    assert near_path(Path(wrong)) == hint


def test_absolute_paths(saves: Path) -> None:
    assert near_path(saves / "savs" / "merged") == f"; did you mean {saves / 'saves' / 'merged'}?"
    for number in range(9):
        (saves / f"other{number}").mkdir()
    assert near_path(saves / "zzz" / "zzz") == ""
