"""Feature conversion: bags of other tools to ours and back, slide by slide, block by block.

A number a container does not record is taken from patch files (``--coords``) or options, derived from the others, or
asked for; it is never guessed, and two that contradict each other are an error. Positions become (x, y) level-0 pixels.
Only blocks of rows are in memory; of ``.pt`` files older than torch 1.6, all rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag

from ..engine.outcome import check_same_settings, disk_is_full, recorded_settings
from . import Geometry, Opened, Source, kind_of, open_source, sources_in, write_clam, write_trident
from .kinds import SUFFIXES, TORCH_SUFFIXES
from .patch_files import find_patch_files, read_patch_file

SETTINGS = "conversion"  #: root attribute of what is written: source and settings, as JSON

_ALL = ("encoder", "patch_size", "patch_size_level0", "mpp", "level0_mpp", "level0_width", "level0_height")
_LEFT_OUT = {
    "patches": "positions without features",
    "slide-embedding": "one vector for the whole slide",
    "unpuzzle": "no unit of its positions; trainers read it as it is, with coords_mpp",
}


@dataclass(frozen=True, kw_only=True)
class ConversionSettings:
    """What to make, and what the user says about the sources."""

    to: str = "pathplugins"
    """One of ``WRITERS``."""
    dtype: str = "float16"
    """Of the features on disk; CLAM's are float32."""
    geometry: Geometry = field(default_factory=Geometry)
    """For all slides."""
    coords: Path | None = None
    """Folder of patch files."""
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What became of one slide, or of a file that holds none."""

    source: str
    slide_id: str | None
    status: Literal["done", "skipped", "failed", "left out"]
    """``skipped``: it was there already, of the same source and settings."""
    rows: int = 0
    width: int = 0
    output: str | None = None
    notes: tuple[str, ...] = ()
    reason: str = ""


def find_sources(folder: Path, kind: str) -> tuple[list[Source], list[Converted]]:
    """The slides in a folder, or one file, and what was found beside them.

    Args:
        folder: Searched recursively; names that begin with a dot are not looked at.
        kind: A key of ``READERS``, or ``auto``.
    """
    if not folder.exists():
        raise PathPluginsError(f"{folder}: not there; expected a folder of features, or one file")
    files = [folder] if folder.is_file() else sorted(p for p in folder.rglob("*") if _candidate(p, folder))
    stems = {path.stem for path in files if path.suffix not in TORCH_SUFFIXES}
    sources: list[Source] = []
    others: list[Converted] = []
    for path in files:
        if path.suffix in TORCH_SUFFIXES and path.parent.name == "pt_files" and path.stem in stems:
            continue  # CLAM's copy without positions
        try:
            found = kind_of(path)
            wanted = {"clam", "trident"} if kind in ("clam", "trident") else {kind}
            if found in _LEFT_OUT:
                others.append(_other(path, "left out", f"{found}: {_LEFT_OUT[found]}"))
            elif kind == "auto" or found in wanted:
                sources += sources_in(path, found)
            else:
                others.append(_other(path, "left out", f"{found}, asked for {kind}"))
        except PathPluginsError as error:
            others.append(_other(path, "failed", str(error)))
    twice = [slide_id for slide_id, count in Counter(source.slide_id for source in sources).items() if count > 1]
    if twice:
        where = ", ".join(str(source) for source in sources if source.slide_id == twice[0])
        raise PathPluginsError(
            f"{folder}: {len(twice)} slides are there more than once, e.g. {where}; pass the folder of one encoder"
        )
    if not sources and not any(other.status == "failed" for other in others):
        seen = f" (left out: {others[0].source}, {others[0].reason})" if others else ""
        raise PathPluginsError(
            f"{folder}: no features{seen}; expected {', '.join(SUFFIXES)} files with a row per patch"
        )
    return sources, others


def convert_features(sources: list[Source], root: Path, out: Path, wanted: ConversionSettings) -> Iterator[Converted]:
    """Convert one slide after another; one that cannot be is reported and the rest go on."""
    patch_files = find_patch_files(wanted.coords) if wanted.coords else {}
    usual = _usual(sources)
    for source in sources:
        try:
            yield _convert(source, root, out, wanted, patch_files.get(source.slide_id), usual)
        except (PathPluginsError, OSError, RuntimeError, KeyError) as error:  # h5py raises the last three
            if disk_is_full(error):
                raise PathPluginsError(f"{out}: no space left; nothing is half-written, make room and go on") from error
            yield Converted(source=str(source), slide_id=source.slide_id, status="failed", reason=str(error))


def _convert(
    source: Source,
    root: Path,
    out: Path,
    wanted: ConversionSettings,
    patch_file: Path | None,
    usual: tuple[int, str] | None,
) -> Converted:
    settings = _settings(source, root, wanted, patch_file)
    with open_source(source) as opened:
        notes = list(opened.notes)
        if usual and opened.width != usual[0]:
            raise PathPluginsError(
                f"{source}: features are {opened.width} wide, most here are {usual[0]}; of another encoder? convert "
                "them apart"
            )
        if usual and opened.dtype != usual[1]:
            notes.append(f"{opened.dtype}, most here are {usual[1]}")
        geometry, coords_xy = _placed(source, opened, wanted, patch_file)
        outputs = _outputs(out, source.slide_id, wanted.to, geometry)
        done = Converted(
            source=str(source),
            slide_id=source.slide_id,
            status="done",
            rows=opened.rows,
            width=opened.width,
            output=str(outputs[0]),
            notes=tuple(notes),
        )
        if outputs[0].exists() and not wanted.overwrite:
            check_same_settings(outputs[0], found=recorded_settings(outputs[0], SETTINGS), wanted=settings)
            if all(path.exists() for path in outputs):
                return replace(done, status="skipped")
        _write(source, replace(opened, blocks=_sound(source, opened)), geometry, coords_xy, outputs, wanted, settings)
    return done


def _placed(
    source: Source, opened: Opened, wanted: ConversionSettings, patch_file: Path | None
) -> tuple[Geometry, np.ndarray]:
    """The whole geometry, and positions in level-0 pixels, int64 ``[N, 2]`` (x, y)."""
    where, geometry, coords_xy, unit = str(source), opened.geometry, opened.coords_xy, opened.unit
    patches = read_patch_file(patch_file) if patch_file else None
    if patches is not None:
        geometry = geometry.filled(patches.geometry, where=where, said_by=str(patch_file))
    geometry = geometry.filled(wanted.geometry, where=where, said_by="the options").completed()
    geometry.require({"clam": (), "pathplugins": _ALL, "trident": _ALL}[wanted.to], where=where)
    if unit == "um":
        geometry.require(("level0_mpp",), where=where)
        coords_xy = np.rint(coords_xy / geometry.level0_mpp).astype(np.int64)
    if patches is None and coords_xy is None:
        raise PathPluginsError(
            f"{where}: {source.kind} holds features without positions, and a bag needs both; pass --coords DIR with "
            f"the patch file of {source.slide_id}, in the same order, or encode the slide again with pathdata features"
        )
    if patches is not None:
        coords_xy = _agreed(source, opened.rows, coords_xy, patches.coords_xy, patch_file, exact=unit == "px0")
    return geometry, coords_xy


def _agreed(
    source: Source, rows: int, coords_xy: np.ndarray | None, of_patches: np.ndarray, patch_file: Path, *, exact: bool
) -> np.ndarray:
    if len(of_patches) != rows:
        raise PathPluginsError(
            f"{source}: {rows} rows but {patch_file} has {len(of_patches)} positions; they are not of one run"
        )
    if coords_xy is not None and np.abs(coords_xy - of_patches).max() > (0 if exact else 1):
        row = int(np.abs(coords_xy - of_patches).max(axis=1).argmax())
        raise PathPluginsError(
            f"{source}: row {row} is at x, y = {coords_xy[row].tolist()} but in {patch_file} at "
            f"{of_patches[row].tolist()}; they are not of one run"
        )
    return of_patches


def _sound(source: Source, opened: Opened) -> Iterator[np.ndarray]:
    """The blocks, unless a row cannot be features."""
    done = 0
    for block in opened.blocks:
        for bad, got in ((~np.isfinite(block).all(axis=1), "holds NaN or infinity"), (~block.any(axis=1), "is zero")):
            if bad.any():
                row = done + int(bad.argmax())
                raise PathPluginsError(f"{source}: feature row {row} {got}; extract the slide again")
        done += len(block)
        yield block


def _outputs(out: Path, slide_id: str, to: str, geometry: Geometry) -> tuple[Path, ...]:
    """What is written; the first is complete when all are."""
    if to == "clam":
        return write_clam.paths_of(out, slide_id)
    if to == "trident":
        return (write_trident.path_of(out, slide_id, geometry.encoder),)
    return (out / f"{slide_id}.h5",)


def _write(
    source: Source,
    opened: Opened,
    geometry: Geometry,
    coords_xy: np.ndarray,
    outputs: tuple[Path, ...],
    wanted: ConversionSettings,
    settings: str,
) -> None:
    mark = {SETTINGS: settings}
    if wanted.to == "clam":
        out = outputs[0].parent.parent
        write_clam.write(out, source.slide_id, opened.blocks, coords_xy, width=opened.width, mark=mark)
    elif wanted.to == "trident":
        write_trident.write(
            outputs[0], opened.blocks, coords_xy, geometry, width=opened.width, dtype=wanted.dtype, mark=mark
        )
    else:
        values = {**asdict(geometry), "patch_size_level0": round(geometry.patch_size_level0)}
        attributes = BagAttributes(slide_id=source.slide_id, **values, extra=mark)
        write_bag(outputs[0], opened.blocks, coords_xy[:, ::-1], attributes, dtype=wanted.dtype)


def _usual(sources: list[Source]) -> tuple[int, str] | None:
    """Width and dtype of most slides; None where none can be opened."""
    seen: Counter[tuple[int, str]] = Counter()
    for source in sources:
        try:
            with open_source(source) as opened:
                seen[opened.width, opened.dtype] += 1
        except (PathPluginsError, OSError, RuntimeError, KeyError):
            continue  # reported when its turn comes
    return seen.most_common(1)[0][0] if seen else None


def _settings(source: Source, root: Path, wanted: ConversionSettings, patch_file: Path | None) -> str:
    """All that decides the output, as JSON; a source is known by size and time of change."""
    base = root if root.is_dir() else root.parent
    settings = {"to": wanted.to, "dtype": wanted.dtype, **{k: v for k, v in asdict(wanted.geometry).items() if v}}
    for name, path in (("source", source.path), ("coords", patch_file)):
        if path is not None:
            status = path.stat()
            inside = path.relative_to(base) if path.is_relative_to(base) else path
            settings[name] = [str(inside), status.st_size, status.st_mtime_ns]
    return json.dumps(settings, sort_keys=True)


def _candidate(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix in SUFFIXES and not hidden and path.is_file()


def _other(path: Path, status: Literal["failed", "left out"], reason: str) -> Converted:
    return Converted(source=str(path), slide_id=None, status=status, reason=reason)
