"""Crop all pictures of a folder into another with the same tree, in several processes; what exists is not done again.

``.crop.json`` in the output folder records the settings. A file appears whole or not at all, so that the same command
continues a run that was stopped.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.core.files import meant_by, write_text_whole
from pathplugins.core.nearest import near_path
from pathplugins.core.walk import walk_folders
from pathplugins.data.images import BadImage, image_size
from pathplugins.data.records import BadSample, report_text

from .crop import FORMATS, Crop, is_mask, picture_of, write_crop
from .crop_sources import NAME as SOURCES
from .crop_sources import changed_sources, record, recording

RECORD = ".crop.json"
_READERS = 16  #: threads that read headers, which is mostly waiting
_AT_ONCE = 16  #: files that a process takes at a time


@dataclass(frozen=True, kw_only=True)
class CropPlan:
    """The files of a run, relative to the source folder."""

    due: list[Path]
    done: list[Path]
    """Their crops exist, and are of these pictures."""
    changed: int
    """Files among ``due`` whose crops are of other pictures that had their names."""
    others: int
    """Files that are no pictures."""


def plan_crops(source: Path, out: Path, crop: Crop, *, overwrite: bool) -> CropPlan:
    """Find the pictures below ``source`` and check the sizes of all that are due, by their headers.

    Raises:
        BadSamplesError: files that are too small or unreadable, masks of another size or format; all in one report.
        PathPluginsError: no folder, or no pictures.
    """
    if not source.is_dir():
        raise PathPluginsError(f"{source}: no such folder; give a folder of pictures{near_path(source)}")
    if out.resolve() == source.resolve():
        raise PathPluginsError(f"--out {out} is the folder of the pictures itself; choose another folder")
    files = sorted(_files(source, outside=out))
    pictures = [path for path in files if path.suffix.lower() in FORMATS]
    if not pictures:
        raise PathPluginsError(f"{source}: no pictures in it; looked for {' '.join(FORMATS)}; give another folder")
    done = [] if overwrite else [path for path in pictures if (out / path).exists()]
    changed = changed_sources(source, out, done)
    done = [path for path in done if path not in changed]
    due = sorted({*pictures} - {*done})
    _check(source, due, crop)
    return CropPlan(due=due, done=done, others=len(files) - len(pictures), changed=len(changed))


def crop_all(source: Path, out: Path, plan: CropPlan, crop: Crop, *, workers: int) -> Iterator[BadSample | None]:
    """Crop what is due; yield for each file None, or what is wrong with it.

    Raises:
        PathPluginsError: a process was killed.
    """
    for leftover in out.rglob(".*.tmp"):  # of a run that was killed
        if meant_by(leftover) is not None:
            leftover.unlink(missing_ok=True)
    for path in plan.due:  # or one of other settings would be taken for a finished one
        (out / path).unlink(missing_ok=True)
    write_text_whole(out / RECORD, crop.settings() + "\n")
    one = partial(_crop, source, out, crop)
    if not plan.done:
        (out / SOURCES).unlink(missing_ok=True)
    unlisted = plan.done if not (out / SOURCES).exists() else []  # crops of an earlier version
    with recording(out) as sources:
        record(sources, source, unlisted)
        for path, ended in zip(plan.due, _all(one, plan.due, out, workers), strict=True):
            if ended is None:
                record(sources, source, [path])
            yield ended


def _all(
    one: Callable[[Path], BadSample | None], due: Sequence[Path], out: Path, workers: int
) -> Iterator[BadSample | None]:
    if workers == 1:
        yield from map(one, due)
        return
    with ProcessPoolExecutor(workers, initializer=_leave_interrupts) as pool:
        try:
            yield from pool.map(one, due, chunksize=_AT_ONCE)
        except BrokenProcessPool as error:
            raise PathPluginsError(
                f"{out}: a process was killed; memory may have run out: try fewer --workers, nothing is half-written"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _crop(source: Path, out: Path, crop: Crop, path: Path) -> BadSample | None:
    try:
        write_crop(source / path, out / path, crop)
    except BadImage as error:
        return _bad(source / path, error)
    return None


def _leave_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the pool


def _files(source: Path, *, outside: Path) -> Iterator[Path]:
    """Yield the files below a folder, relative to it; hidden ones and those below ``outside`` are left out."""
    for folder, below, names in walk_folders(source):
        below[:] = [name for name in below if (folder / name).resolve() != outside.resolve()]
        yield from ((folder / name).relative_to(source) for name in names)


def _check(source: Path, due: Sequence[Path], crop: Crop) -> None:
    """Raise one report on all files that cannot be cropped."""
    with ThreadPoolExecutor(_READERS) as pool:
        sizes = dict(zip(due, pool.map(partial(_size, source), due), strict=True))
    partners = {path.with_suffix(""): size for path, size in sizes.items() if not is_mask(path)}
    bad = []
    for path, size in sizes.items():
        partner = partners.get(picture_of(path)) if is_mask(path) else None
        fault = size if isinstance(size, BadImage) else _fault(path, size, partner, crop)
        if fault is not None:
            bad.append(_bad(source / path, fault))
    if bad:
        raise BadSamplesError(f"{report(bad, len(due))}\nnothing was written")


def report(bad: Sequence[BadSample], total: int) -> str:
    """Say how many files of ``total`` are bad, and why."""
    return report_text(len(bad), total, Counter(sample.reason for sample in bad), bad)


def _bad(path: Path, error: BadImage) -> BadSample:
    detail = str(error).removeprefix(f"{path} ")
    return BadSample(source=str(path), row=None, reason=error.reason, detail=detail)


def _size(source: Path, path: Path) -> tuple[int, int] | BadImage:
    try:
        return image_size(source / path)
    except BadImage as error:
        return error


def _fault(path: Path, size: tuple[int, int], partner: object, crop: Crop) -> BadImage | None:
    """Return what is wrong with a file of this size; ``partner`` is the size of the picture of a mask."""
    (w, h), cut = size, crop.cut_px
    if min(size) < cut:
        return BadImage(f"{w} x {h} px, wanted {cut} or more; move it out, or lower --size", reason="too small")
    if is_mask(path) and FORMATS[path.suffix.lower()] == "JPEG":
        return BadImage("JPEG does not keep class ids; make it again as PNG", reason="mask is JPEG")
    if is_mask(path) and isinstance(partner, tuple) and partner != size:
        return BadImage(
            f"{w} x {h} px, its picture {partner[0]} x {partner[1]}; replace one of them", reason="mask of another size"
        )
    return None
