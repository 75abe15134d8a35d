"""PathVQA: questions about figures, as original pickles, Parquet files of the hub or PA-LLaVA's evaluation JSON."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.walk import files_below
from pathplugins.data.formats.reading.assembly import Stream, folders_for, reader
from pathplugins.data.formats.reading.json import SUFFIXES, read_samples
from pathplugins.data.formats.reading.parquet import image_to_file, read_parquet
from pathplugins.data.formats.reading.pickles import read_plain_pickle
from pathplugins.data.formats.reading.rows import BadRowError, Draft, Row, drafts, refuse_placeholder, shown, text_of
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, Turn

COLUMNS = ("image", "question", "answer")
YES_NO_SUFFIX = " Please choose from the following two options: [yes, no]"
"""Ends questions that are answered by yes or no in Quilt-LLaVA's evaluation."""
SPLITS = ("train", "val", "test")  #: files begin with these; the hub's ``validation`` with ``val``

_SUFFIXES = (".jpg", ".jpeg", ".png")
_EXPECTED = "train_qa.pkl, val_qa.pkl, test_qa.pkl, or *.parquet of the hub"


@reader
def read_path_vqa(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    split: str | None = None,
    ids: str | Path | None = None,
    extract_images: bool = False,
    yes_no_suffix: bool = False,
) -> Stream:
    """Read questions and answers unchanged.

    Args:
        path: A pickle such as ``train_qa.pkl``, a Parquet file, or a folder with such files anywhere in it. Or the
            JSON that PA-LLaVA evaluates with: ``{id: {"question", "image", "answer", ...}}``, or a list of the same.
        media_dir: Where the images are: there, in ``{split}`` or in ``images/{split}``; then beside the file and
            in the two folders above it, which is how the original archive has them.
        split: Files of a folder that are kept, by the start of their names; None keeps all.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
        extract_images: Parquet files hold the images themselves. True writes them into ``media_dir`` (or beside the
            file), each once and named by its content; False refuses Parquet files.
        yes_no_suffix: End questions whose answer is yes or no with the two options, as Quilt-LLaVA's evaluation does;
            the question then tells what kind of answer it has.
    """
    path = Path(path)
    folders = folders_for(path, media_dir)
    draft = functools.partial(_draft, suffix=YES_NO_SUFFIX if yes_no_suffix else "")

    def found() -> Iterator[Draft]:
        for file in _files(path, split):
            if file.suffix in SUFFIXES:
                yield from drafts(read_samples(file), draft)
            elif file.suffix != ".parquet":
                yield from drafts(_pickle_rows(file), draft)
            elif extract_images:
                yield from drafts(read_parquet(file, COLUMNS), _extracting(folders[0], _split_of(file), draft))
            else:
                raise PathPluginsError(
                    f"{file} holds its images in its rows; write them to files once with `pathdata convert path-vqa "
                    f'{path} --image-folder DIR --out FILE.jsonl`, and train from that file, "llava"'
                )

    bases = dict.fromkeys((*folders, *folders[-1].parents[:2]))
    places = [base / sub for base in bases for sub in ("", *SPLITS, *(f"images/{name}" for name in SPLITS))]
    return Stream(path=path, drafts=found, folders=places, ids=ids)


def _files(path: Path, split: str | None) -> list[Path]:
    if not path.is_dir():
        return [path]
    there = [file for file in files_below(path) if file.name.endswith(("_qa.pkl", ".parquet"))]
    if not there:
        raise PathPluginsError(f"{path}: no file of PathVQA in this folder; expected {_EXPECTED}")
    files = [file for file in there if split is None or file.name.startswith(split)]
    if not files:
        names = ", ".join(file.name for file in there[:10])
        raise PathPluginsError(f"{path}: no file of split {split!r}; found {names}; ask for another split")
    return files


def _split_of(file: Path) -> str:
    return next((split for split in SPLITS if file.name.startswith(split)), "image")


def _pickle_rows(path: Path) -> Iterator[Row | BadSample]:
    samples = read_plain_pickle(path)
    if not isinstance(samples, list) or not samples:
        raise PathPluginsError(f"{path} holds {shown(samples)}; expected a list of {', '.join(COLUMNS)}")
    for number, sample in enumerate(samples, start=1):
        if isinstance(sample, dict):
            yield Row(str(path), number, sample)
        else:
            detail = f"{shown(sample)} is no dict; expected {', '.join(COLUMNS)}"
            yield BadSample(source=str(path), row=number, reason="malformed row", detail=detail)


def _extracting(folder: Path, split: str, draft: Callable[[Row], Record]) -> Callable[[Row], Record]:
    def make(row: Row) -> Record:
        name = image_to_file(row.cells["image"], folder=folder, prefix=split)
        return draft(row._replace(cells={**row.cells, "image": name}))

    return make


def _draft(row: Row, *, suffix: str) -> Record:
    image, question, answer = (text_of(row.cells, name) for name in COLUMNS)
    if not image:
        raise BadRowError("no image", "image is empty; expected a file name")
    if not question:
        raise BadRowError("no question", "question is empty; expected text")
    refuse_placeholder(question + answer)
    question += suffix if answer.lower() in ("yes", "no") else ""
    known = image.lower().endswith(_SUFFIXES)
    return Record(
        id=text_of(row.cells, "id") or (Path(image).stem if known else image),
        conversations=(Turn("user", f"{IMAGE_PLACEHOLDER}\n{question}"), Turn("assistant", answer)),
        images=(image if known else f"{image}.jpg",),
        meta={},
        source=row.source,
        row=row.number,
    )
