"""Evaluation sets whose questions, answers, captions and images must not be trained on."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.data.formats import MADE_UP, READERS
from pathplugins.data.formats.reading.assembly import Places
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.formats.reading.rows import Row, read_lines
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record

MIN_WORDS = 5
"""Shorter texts, as "yes" or "squamous cell carcinoma", stand in any caption by right."""

_WANTED = "an evaluation set"


@dataclass(kw_only=True)
class Examined:
    """What evaluation sets hold; a place is the file's name and the row, ``pathvqa.json:17``."""

    texts: dict[str, str] = field(default_factory=dict)
    """Text -> the first place it stands at."""
    names: dict[str, str] = field(default_factory=dict)
    """Image as written -> the first place."""
    files: dict[str, str] = field(default_factory=dict)
    """The same images where they are looked for -> the first place."""
    bad: dict[str, int] = field(default_factory=dict)
    """File -> rows that cannot be read, whose leaks nobody sees."""


def read_examined(named: Sequence[str], image_folder: Path | None) -> Examined:
    """Read evaluation sets, each named as ``FILE`` or ``FORMAT:FILE``.

    Raises:
        PathPluginsError: no such file, or one whose format does not show.
    """
    all_ = Examined()
    for name in named:
        form, path = format_and_path(name)
        stream = READERS.get(form).stream(path, media_dir=image_folder)
        locate = Places(stream.folders).locate if stream.folders else str
        for draft in stream.drafts():
            if isinstance(draft, BadSample):
                all_.bad[path.name] = all_.bad.get(path.name, 0) + 1
            elif isinstance(draft, Record):
                place = f"{Path(draft.source).name}:{draft.row}"
                for text in _texts(draft):
                    all_.texts.setdefault(text, place)
                for image in draft.images:
                    all_.names.setdefault(image, place)
                    all_.files.setdefault(locate(image), place)
    return all_


def format_and_path(named: str) -> tuple[str, Path]:
    """Return the record format and the file of ``FILE``, which must show it, or of ``FORMAT:FILE``.

    Raises:
        PathPluginsError: no such file, or one whose format does not show.
    """
    before, mark, after = named.partition(":")
    form = before.replace("-", "_")
    if mark and form in READERS and form not in MADE_UP:
        path = Path(after)
        if not path.exists():
            raise PathPluginsError(f"--against {named}: no such file{near_path(path)}")
        return form, path
    path = Path(named)
    if not path.is_file():
        raise PathPluginsError(f"--against {named}: no such file; give FILE or FORMAT:FILE{near_path(path)}")
    keys = _keys(path)
    for form, wanted in (
        ("llava", {"conversations"}),
        ("path_vqa", {"image", "question", "answer"}),
        ("pallava_captions", {"image", "caption"}),
        ("pmc_vqa", {"Figure_path", "Question"}),
        ("quilt_1m", {"image_path", "caption"}),
    ):
        if wanted <= keys and (form in ("pmc_vqa", "quilt_1m")) == (path.suffix in (".csv", ".tsv")):
            return form, path
    has = ", ".join(sorted(keys)[:8]) or "nothing that could be read"
    raise PathPluginsError(f"--against {path}: its format does not show, it has {has}; give FORMAT:{path}")


def _keys(path: Path) -> set[str]:
    """Return the keys of the first sample, or the columns."""
    if path.suffix in (".csv", ".tsv"):
        first = next(read_lines(path, wanted=_WANTED), "")
        return {name.strip() for name in next(csv.reader([first], delimiter=max(",\t", key=first.count)), [])}
    if path.suffix not in (".json", ".jsonl"):
        return set()
    return {key for row in itertools.islice(read_samples(path), 1) if isinstance(row, Row) for key in row.cells}


def _texts(record: Record) -> Iterator[str]:
    """Yield what a record says: each turn, and of a question with choices also the question alone."""
    for turn in record.conversations:
        whole = turn.text.replace(IMAGE_PLACEHOLDER, " ").strip()
        for text in dict.fromkeys((whole, whole.partition("\n\n")[0])):
            if len(text.split()) >= MIN_WORDS:
                yield text
