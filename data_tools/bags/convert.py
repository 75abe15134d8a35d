"""Convert feature files of other tools to bags of ours and back, slide by slide, block by block.

A number that a container does not record is taken from patch files (``--coords``) or options, derived from the others,
or asked for; it is never guessed, and two that contradict each other are an error. Positions become (x, y) level-0
pixels. Only blocks of rows are in memory, except for ``.pt`` files older than torch 1.6.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pathplugins.core.content import content_print
from pathplugins.core.disks import is_full, is_read_only, refusal
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.data.bags.attributes import NOMINAL_SOURCE
from pathplugins.data.bags.damage import DAMAGE
from pathplugins.data.bags.write_tokens import write_tokens

from ..engine.outcome import check_same_settings, recorded_settings
from . import Geometry, Opened, Source, open_source, write_clam, write_trident
from .drop_repeats import without_repeats
from .patch_files import find_patch_files
from .placement import place_patches
from .usual import Usual, usual_of

NOMINAL_NOTE = (
    "{:g} um/px at level 0 is nominal, from its magnification; pass --level0-mpp, or --coords with patch files of "
    "pathdata patch, where the slide's own is known"
)
SETTINGS = "conversion"  #: root attribute of written files: source and settings, as JSON


@dataclass(frozen=True, kw_only=True)
class ConversionSettings:
    """The layout to write, and what the user states about the sources."""

    to: str = "pathplugins"
    """One of ``WRITERS``."""
    dtype: str = "float16"
    """Type of the features on disk; CLAM's are float32."""
    geometry: Geometry = field(default_factory=Geometry)
    """Holds for all slides."""
    coords: Path | None = None
    """Folder of patch files."""
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class Converted:
    """The outcome for one slide, or for a file that holds none."""

    source: str
    slide_id: str | None
    status: Literal["done", "skipped", "failed", "left out"]
    """``skipped``: the output exists, made from the same source and settings."""
    rows: int = 0
    width: int = 0
    output: str | None = None
    notes: tuple[str, ...] = ()
    reason: str = ""


def convert_features(sources: list[Source], root: Path, out: Path, settings: ConversionSettings) -> Iterator[Converted]:
    """Convert the slides one by one; a slide that cannot be converted is reported and the next follows.

    Args:
        sources: The slides.
        root: The folder or file the sources were found in; settings record paths relative to it.
        out: The output folder.
        settings: Layout, type, and what the user states.

    Raises:
        PathPluginsError: the disk is full or read-only.
    """
    patch_files = find_patch_files(settings.coords) if settings.coords else {}
    usual = usual_of(sources)
    for source in sources:
        try:
            yield _convert(source, root, out, settings, patch_files.get(source.slide_id), usual)
        except DAMAGE as error:
            if is_full(error) or is_read_only(error):
                raise PathPluginsError(refusal(error, out)) from error
            yield Converted(source=str(source), slide_id=source.slide_id, status="failed", reason=str(error))


def _convert(
    source: Source,
    root: Path,
    out: Path,
    settings: ConversionSettings,
    patch_file: Path | None,
    usual: Usual,
) -> Converted:
    recorded = _recorded(source, root, settings, patch_file)
    with open_source(source) as opened:
        notes = [*opened.notes, *usual.notes_on(source, opened)]
        geometry, coords_xy = place_patches(source, opened, settings.geometry, patch_file, to=settings.to)
        opened = replace(opened, blocks=_sound(source, opened))
        if coords_xy is not None:
            opened, coords_xy, dropped = without_repeats(opened, coords_xy, where=str(source))
            notes += [dropped] if dropped else []
        elif opened.coords_xy is not None:
            notes.append("its positions are left out")
        if geometry.nominal and settings.to not in ("clam", "bare"):
            notes.append(NOMINAL_NOTE.format(geometry.level0_mpp))
        files = _target_files(out, source.slide_id, settings.to, geometry)
        done = Converted(
            source=str(source),
            slide_id=source.slide_id,
            status="done",
            rows=opened.rows,
            width=opened.width,
            output=str(files[0]),
            notes=tuple(notes),
        )
        if files[0].exists() and not settings.overwrite:
            _check_same_source(files[0], source, recorded, patch_file)
            if all(path.exists() for path in files):
                return replace(done, status="skipped")
        _write(source, opened, geometry, coords_xy, files, settings, recorded)
    return done


def _sound(source: Source, opened: Opened) -> Iterator[np.ndarray]:
    """Yield the blocks.

    Raises:
        PathPluginsError: a row holds NaN, infinity or only zeros.
    """
    done = 0
    for block in opened.blocks:
        for bad, got in ((~np.isfinite(block).all(axis=1), "holds NaN or infinity"), (~block.any(axis=1), "is zero")):
            if bad.any():
                row = done + int(bad.argmax())
                raise PathPluginsError(f"{source}: feature row {row} {got}; extract the slide again")
        done += len(block)
        yield block


def _target_files(out: Path, slide_id: str, to: str, geometry: Geometry) -> tuple[Path, ...]:
    """Return the files to write; the first is renamed last, so that it exists only when all do."""
    if to == "clam":
        return write_clam.paths_of(out, slide_id)
    if to == "trident":
        return (write_trident.path_of(out, slide_id, geometry.encoder),)
    return (out / f"{slide_id}.h5",)


def _write(
    source: Source,
    opened: Opened,
    geometry: Geometry,
    coords_xy: np.ndarray | None,
    files: tuple[Path, ...],
    settings: ConversionSettings,
    recorded: dict[str, Any],
) -> None:
    mark = {SETTINGS: json.dumps(recorded, sort_keys=True)}
    if settings.to == "bare":
        known = {name: value for name, value in asdict(geometry).items() if name != "nominal" and value is not None}
        rows = np.concatenate([block.astype(settings.dtype) for block in opened.blocks])  # [N, D]
        write_tokens(files[0], rows, {"slide_id": source.slide_id, **known, **mark})
    elif settings.to == "clam":
        out = files[0].parent.parent
        write_clam.write(out, source.slide_id, opened.blocks, coords_xy, width=opened.width, mark=mark)
    elif settings.to == "trident":
        write_trident.write(
            files[0], opened.blocks, coords_xy, geometry, width=opened.width, dtype=settings.dtype, mark=mark
        )
    else:
        values = {**asdict(geometry), "patch_size_level0": round(geometry.patch_size_level0)}
        extra = {**mark, "mpp_source": NOMINAL_SOURCE} if values.pop("nominal") else mark
        attributes = BagAttributes(slide_id=source.slide_id, **values, extra=extra)
        write_bag(files[0], opened.blocks, coords_xy[:, ::-1], attributes, dtype=settings.dtype)


def _recorded(source: Source, root: Path, settings: ConversionSettings, patch_file: Path | None) -> dict[str, Any]:
    """Return what decides the output; a source that was only moved or copied is the same source."""
    base = root if root.is_dir() else root.parent
    recorded = {"to": settings.to, "dtype": settings.dtype, **{k: v for k, v in asdict(settings.geometry).items() if v}}
    for name, path in (("source", source.path), ("coords", patch_file)):
        if path is not None:
            inside = path.relative_to(base) if path.is_relative_to(base) else path
            recorded[name] = [str(inside), content_print(path)]
    return recorded


def _check_same_source(output: Path, source: Source, recorded: dict[str, Any], patch_file: Path | None) -> None:
    """Refuse an output of other settings, or of another source; the names of the source and its folder may change."""
    found = json.loads(recorded_settings(output, SETTINGS))
    for name, path in (("source", source.path), ("coords", patch_file)):
        before = found.get(name)
        if path is None or not isinstance(before, list):
            continue
        status = path.stat()
        same = before[1:] == recorded[name][1:] or before[1:] == [
            status.st_size,
            status.st_mtime_ns,
        ]
        found[name] = recorded[name] if same else before
    check_same_settings(output, found=json.dumps(found, sort_keys=True), wanted=json.dumps(recorded, sort_keys=True))
