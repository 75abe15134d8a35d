"""Describe a patch set: kind, counts per class and part, slides, sizes of pictures, and every fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.data.patch_sets import PatchSet, find_patch_set
from pathplugins.data.patch_sets.check import check_pictures
from pathplugins.data.records import BadSample
from pathplugins.published.patchtcga import DATASETS


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a folder holds as a patch set."""

    path: str
    what: str
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Each fault: file, reason, detail."""


def describe(
    path: Path, kind: str | None, *, pictures: int | None, tell: Callable[[int, int], object] = lambda done, all_: None
) -> Description:
    """Read a patch set and some of its pictures.

    Args:
        path: its folder.
        kind: as for `find_patch_set`.
        pictures: how many pictures to decode, spread evenly over the set; None decodes all.
        tell: called with the numbers of pictures read, and to be read.

    Raises:
        PathPluginsError: no such folder or kind, or class folders that cannot be told from parts.
    """
    found = find_patch_set(path, kind)
    patches, read = found.patches, 0
    chosen = _spread(len(patches), pictures)

    def one_more(done: int) -> None:
        nonlocal read
        read += done
        tell(read, len(chosen))

    checked = check_pictures(patches, chosen.tolist(), tell=one_more)
    notes = [*found.notes]
    if len(chosen) < len(patches):
        notes.append(f"{len(chosen)} of {len(patches)} pictures were read; pass --thorough to read all")
    if patches.patch_px and any(size != (patches.patch_px,) * 2 for size in checked.sizes):
        notes.append(f"published pictures have {patches.patch_px} x {patches.patch_px} pixels; some here have not")
    if unknown := len(patches.groups.where("")):
        notes.append(f"the slides of {unknown} patches are unknown: their names hold no TCGA barcode")
    published = DATASETS.get(patches.kind)
    return Description(
        path=str(path),
        what=f"{published.name}, {published.what}" if published else "pictures in a folder per class",
        facts=_facts(patches, checked.sizes),
        notes=notes,
        wrong=[_line(fault) for fault in (*found.faults, *checked.faults)],
    )


def _spread(count: int, wanted: int | None) -> np.ndarray:
    """Return the numbers of ``wanted`` samples of ``count``, int64 [M]."""
    if wanted is None or wanted >= count:
        return np.arange(count)
    return np.linspace(0, count - 1, wanted).astype(np.int64)


def _facts(patches: PatchSet, sizes: Counter[tuple[int, int]]) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": patches.kind, "patches": len(patches)}
    slides = np.unique(patches.groups.codes)
    facts["slides"] = sum(patches.groups.values[code] != "" for code in slides.tolist())
    for part in ("train", "valid", "test", ""):
        if len(indices := patches.parts.where(part)):
            facts[part or "all"] = _counts(patches.take(indices))
    facts["sizes"] = ", ".join(f"{w} x {h} ({number})" for (w, h), number in sizes.most_common(5)) or "none read"
    if patches.mpp is not None:
        facts["published mpp"] = patches.mpp
    return facts | ({"licence": patches.licence} if patches.licence else {})


def _counts(patches: PatchSet) -> dict[str, int]:
    """Return the number of patches, and that of each class that occurs; classes of masks are not counted."""
    known = patches.labels[patches.labels >= 0]
    counts = np.bincount(known, minlength=len(patches.classes)).tolist()
    return {"patches": len(patches)} | {name: n for name, n in zip(patches.classes, counts, strict=True) if n}


def _line(fault: BadSample) -> str:
    return (
        f"{fault.reason}: {fault.detail}"
        if fault.source in fault.detail
        else (f"{fault.source}: {fault.reason}: {fault.detail}")
    )
