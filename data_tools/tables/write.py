"""Write slide tables of labelled bags, and their entries for LLaMA-Factory."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathplugins.core.errors import BadSamplesError
from pathplugins.core.files import new_folder, write_json
from pathplugins.data.choices import lettered, match_choice
from pathplugins.data.formats.wsi_csv import read_wsi_csv
from pathplugins.data.records import BadSampleReport
from pathplugins.data.splits.split import PARTS

from .bags_of_labels import Labelled
from .choices import shuffled

COLUMNS = ("h5_path", "caption", "question", "answer", "slide_id", "dataset", "choices")
INFO = "dataset_info.json"


@dataclass(frozen=True, kw_only=True)
class Wording:
    """What every slide is asked."""

    question: str
    choices: list[str]
    """Empty for an open question."""
    name: str
    """Of the data set, in its column and in the entries."""
    seed: int
    """Shuffles the choices of each slide."""


def write_tables(slides: Sequence[Labelled], parts: np.ndarray, wording: Wording, out: Path) -> list[str]:
    """Write a table for each part of each fold, read all of them again, and return the names of the data sets.

    There is no column ``split``, by which readers keep rows. Paths of bags are relative to the table. All files appear
    together, or none does; a part without slides has no file.

    Args:
        slides: Slides with label and bag.
        parts: [folds, slides], numbers of ``PARTS``.
        wording: Question, choices, name and seed.
        out: A folder that is new or empty.

    Raises:
        PathPluginsError: ``out`` holds something, or a row cannot be trained on, such as a label with ``<image>``.
    """
    entries = {}
    with new_folder(out) as folder:
        for fold, row in enumerate(parts):
            inner, prefix = (f"fold_{fold}", f"{wording.name}_fold{fold}") if len(parts) > 1 else ("", wording.name)
            (folder / inner).mkdir(exist_ok=True)
            for code, part in enumerate(PARTS):
                inside = [slides[at] for at in np.flatnonzero(row == code)]
                if not inside:
                    continue
                path = folder / inner / f"{part}.csv"
                _write(path, inside, wording, (out / inner).resolve())
                _read_again(path)
                file_name = path.relative_to(folder).as_posix()
                entries[f"{prefix}_{part}"] = {"file_name": file_name, "formatting": "wsi_csv", "subset": "vqa"}
        write_json(folder / INFO, entries)
    return list(entries)


def _write(path: Path, slides: Sequence[Labelled], wording: Wording, home: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for slide in slides:
            choices = shuffled(wording.choices, slide.slide_id, wording.seed)
            bag = Path(os.path.relpath(slide.bag.resolve(), home)).as_posix()
            answer = _answer(slide.label.label, choices)
            texts = ("", wording.question, answer, slide.slide_id, wording.name)
            table.writerow([bag, *texts, json.dumps(choices, ensure_ascii=False) if choices else ""])


def _answer(label: str, choices: list[str]) -> str:
    """Return the label, or its line of the choices where it reads as the letter of another: ``B) A``."""
    sure = not choices or match_choice(label, choices) == choices.index(label)
    return label if sure else lettered(choices)[choices.index(label)]


def _read_again(path: Path) -> None:
    records, bad = read_wsi_csv(path)
    if bad:
        report = BadSampleReport(total=len(records) + len(bad))
        report.add(bad)
        raise BadSamplesError(f"{report.text()}\nnothing was written; correct these labels, or the question")
