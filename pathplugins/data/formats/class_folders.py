"""Images sorted into classes: a folder with one sub-folder per class, or a list of ``file label`` lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.core.walk import files_below
from pathplugins.data.formats.reading.assembly import Stream, folders_for, reader
from pathplugins.data.formats.reading.rows import BadRowError, Draft, Row, drafts, read_lines
from pathplugins.data.patch_sets.class_folders import class_folders
from pathplugins.data.patch_sets.patch_set import PARTS
from pathplugins.data.patch_sets.tree import Tree
from pathplugins.data.prompts import CLASS_QUESTION
from pathplugins.data.records import IMAGE_PLACEHOLDER, Record, Turn

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".h5")

_WANTED = "a folder with a sub-folder per class, or a text file of `file label` lines"


@reader
def read_class_folders(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    labels: Mapping[str, str] | str | Path | None = None,
    question: str = CLASS_QUESTION,
    split: str | None = None,
    ids: str | Path | None = None,
) -> Stream:
    """Read images sorted into classes; each sample asks which class the image shows and answers with its label.

    Args:
        path: The folder of the sub-folders; images (or bags) lie anywhere in these, other files and folders that begin
            with ``.`` or ``_`` are ignored. Folders ``train``, ``val`` (or ``valid``) and ``test`` are no classes: the
            classes lie in them. Or a text file without a header, one image a line, its class at the
            end after a comma or blanks.
        media_dir: Where the images of a text file are looked for first; then beside it.
        labels: Class -> label, or a JSON file of that, for all classes; several may share a label. None derives them
            from the names: ``InSitu`` is ``in situ``, ``oral_SCC`` is ``oral SCC``.
        question: The question, with ``{labels}`` in place of all labels in alphabetical order.
        split: The part to keep, ``train``, ``valid`` or ``test``, where there are folders of parts; None keeps all.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
    """
    path = Path(path)
    if split is not None and split.casefold() not in PARTS:
        raise PathPluginsError(f"split is {split!r}, expected train, valid or test")

    def rows() -> Iterator[Row]:
        return _folder_rows(path, split and PARTS[split.casefold()]) if path.is_dir() else _list_rows(path)

    def found() -> Iterator[Draft]:
        classes = dict.fromkeys(row.cells["class"] for row in rows() if row.cells["class"])
        named = _labels(classes, labels, path)
        asked = question.replace("{labels}", ", ".join(sorted(set(named.values()))))

        def draft(row: Row) -> Record:
            image, name = row.cells["image"], row.cells["class"]
            if not name or not image:
                raise BadRowError("no label", f"file {image!r}, class {name!r}; expected both in a line")
            inside = Path(image).relative_to(path.absolute()) if path.is_dir() else Path(image)
            return Record(
                id=inside.with_suffix("").as_posix(),
                conversations=(Turn("user", f"{IMAGE_PLACEHOLDER}\n{asked}"), Turn("assistant", named[name])),
                images=(image,),
                meta={"class": name} | ({"part": part} if (part := row.cells.get("part")) else {}),
                source=row.source,
                row=row.number,
            )

        yield from drafts(rows(), draft)

    return Stream(path=path, drafts=found, folders=folders_for(path, media_dir), ids=ids)


def _folder_rows(path: Path, wanted: str | None) -> Iterator[Row]:
    tree = Tree(path.absolute())
    there = class_folders(tree)
    if tree.faults:
        raise PathPluginsError(f"{tree.faults[0].source}: {tree.faults[0].reason}: {tree.faults[0].detail}")
    divided = len({part for _, part, _ in there}) > 1
    number = 0
    for name, part, class_name in there:
        folder = tree.root / name.decode()
        if divided and wanted not in (None, part):
            continue
        images = [p for p in files_below(folder) if p.suffix.lower() in SUFFIXES]
        if not images:
            raise PathPluginsError(
                f"{folder} holds no image ({', '.join(SUFFIXES)}) and is no class; move it out of {path}, or name "
                "the folder whose sub-folders are the classes"
            )
        for image in images:
            number += 1
            yield Row(str(path), number, {"image": str(image), "class": class_name, "part": part})


def _list_rows(path: Path) -> Iterator[Row]:
    for number, line in enumerate(read_lines(path, wanted=_WANTED), start=1):
        if line.strip():
            image, *name = (part.strip() for part in line.strip().rsplit("," if "," in line else None, maxsplit=1))
            yield Row(str(path), number, {"image": image, "class": "".join(name)})


def _labels(classes: Mapping[str, object], labels: Mapping[str, str] | str | Path | None, path: Path) -> dict[str, str]:
    if labels is None:
        named = {name: _cleaned(name) for name in classes}
    else:
        given = labels if isinstance(labels, Mapping) else read_json(Path(labels))
        named = {name: str(label) for name, label in given.items()}
        if {*named} != {*classes}:
            raise PathPluginsError(
                f"labels name the classes {', '.join(sorted(named))}; {path} has {', '.join(classes)}; name all of them"
            )
    if len({*named.values()}) < 2:
        found = ", ".join(f"{name} ({label})" for name, label in named.items()) or "none"
        raise PathPluginsError(
            f"{path}: its classes have fewer than two labels: {found}; name {_WANTED}, with two classes or more"
        )
    return named


def _cleaned(name: str) -> str:
    """Turn ``InSitu`` and ``in_situ`` into ``in situ``; words in capitals stay, as abbreviations."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).split()
    return " ".join(word if word.isupper() else word.lower() for word in words)
