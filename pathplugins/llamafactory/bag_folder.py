"""``"formatting": "bag_folder"``: every bag of a folder, asked the same questions, without known answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import is_file
from pathplugins.core.nearest import near_path
from pathplugins.data.prompts import REPORT_REQUEST
from pathplugins.data.records import IMAGE_PLACEHOLDER, OTHER_PLACEHOLDERS, Record, Turn

BAG_FOLDER = "bag_folder"
QUESTIONS = "questions.txt"
"""File in the folder with a question in each line; without it each bag is asked for its report."""
_KEYS = ("file_name", "formatting")


def check_bag_folder(name: str, entry: Mapping[str, Any], place: Path) -> None:
    """Raise `PathPluginsError` for what an entry of ``dataset_info.json`` says and nobody obeys."""
    if unread := sorted(entry.keys() - {*_KEYS}):
        raise PathPluginsError(
            f'dataset {name} in {place}, "formatting": "{BAG_FOLDER}": {", ".join(unread)} is not read by this format; '
            f"remove it: the folder is named in file_name, and its {QUESTIONS} holds the questions"
        )


def read_bag_folder(folder: Path, training_args: Any) -> list[Record]:
    """Return a record for each bag and question: bags by path, questions as in the file; the answers are empty.

    Args:
        folder: with bags (``.h5``), also in folders below it.
        training_args: of the run, which must do nothing else than generate answers.

    Raises:
        PathPluginsError: the run trains or evaluates, there is no such folder, no bag in it, or no question.
    """
    others = [key for key in ("do_train", "do_eval") if getattr(training_args, key)]
    if others or not getattr(training_args, "predict_with_generate", False):
        asked = f"set {others[0]}: false" if others else "set predict_with_generate: true"
        raise PathPluginsError(f'{folder}: "{BAG_FOLDER}" has no answers to learn or to compare with; {asked}')
    if not folder.is_dir():
        raise PathPluginsError(f"{folder}: no such folder; name one with bags in file_name{near_path(folder)}")
    bags = sorted(path for path in folder.rglob("*.h5") if not path.name.startswith("."))
    if not bags:
        raise PathPluginsError(f"{folder} holds no bag (.h5); make them with `pathdata run`")
    file = folder / QUESTIONS
    questions = _questions(file) if is_file(file) else [(1, REPORT_REQUEST)]
    return [
        Record(
            id=f"{bag.relative_to(folder).with_suffix('').as_posix()}#{line}",
            conversations=(Turn("user", f"{IMAGE_PLACEHOLDER}\n{question}"), Turn("assistant", "")),
            images=(str(bag.absolute()),),
            meta={},
            source=str(folder),
            row=number,
        )
        for number, (bag, (line, question)) in enumerate(
            ((bag, question) for bag in bags for question in questions), start=1
        )
    ]


def _questions(file: Path) -> list[tuple[int, str]]:
    """Return line and question of each line with text."""
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    found = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise PathPluginsError(f"{file} holds no question; write one in each line, or remove it to ask for reports")
    marks = (IMAGE_PLACEHOLDER, *OTHER_PLACEHOLDERS)
    if wrong := next((number for number, text in found if any(mark in text for mark in marks)), None):
        raise PathPluginsError(f"{file}:{wrong} has a placeholder; the bag is put before the question, take it out")
    return found
