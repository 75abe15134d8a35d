"""Patches of the user's own: where CLAM, TRIDENT or an earlier run put them, instead of a grid over detected tissue."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathplugins.core.suffixes import slide_name
from pathplugins.data.bags.repeats import repeats_of
from pathplugins.data.records import first_shown

from ..bags.patch_files import PatchFile, find_patch_files, read_patch_file
from ..slides.errors import SlideError
from ..slides.resolution import CONTRADICTION, NOTED

ROUNDING_PX = 2  #: of a level: CLAM records the size of one level and its downsample, not the size of level 0


@dataclass(frozen=True, kw_only=True)
class OwnCoords:
    """The patch file of one slide."""

    path: Path
    sha256: str
    """Hash of the file, so that a changed file of the same name counts as another one."""

    def settings(self) -> dict[str, str]:
        """Return what decides the patches: the content of the file, not its path."""
        return {"coords": self.sha256[:12]}


@dataclass(frozen=True, kw_only=True)
class GivenPatches:
    """Patches as a file gives them."""

    coords_xy: np.ndarray
    """int64 ``[N, 2]``, level-0 pixels."""
    patch_size: int
    """Side in pixels as an encoder gets them."""
    patch_size_px0: int
    overlap: int | None
    mpp: float | None = None
    """Resolution that the tool cut them for, microns per pixel as an encoder gets them; None if not recorded."""
    nominal: bool = False
    """Whether it follows from a magnification."""
    notes: tuple[str, ...] = ()

    def contradiction(self, mpp: float) -> tuple[str, ...]:
        """Return a note where the patches of a slide, at ``mpp``, are of another resolution than they were cut for."""
        if self.mpp is None or max(self.mpp / mpp, mpp / self.mpp) <= (CONTRADICTION if self.nominal else NOTED):
            return ()
        return (
            f"its patches were cut for {self.mpp:.3g} um/px and are {mpp:.3g} um/px by the slide's resolution; "
            "correct the wrong one with --mpp-csv, or cut the patches again",
        )


def find_own_coords(folder: Path, slides: list[Path]) -> dict[Path, OwnCoords]:
    """Return the patch file of every slide, by slide.

    Raises:
        PathPluginsError: no patch files, two of one slide, or slides without one, all of them named.
    """
    files = find_patch_files(folder)
    lacking = [slide_name(slide) for slide in slides if slide_name(slide) not in files]
    if lacking:
        raise SlideError(
            f"--coords {folder}: no patch file of {len(lacking)} of {len(slides)} slides:\n{first_shown(lacking)}\n"
            f"looked for {lacking[0]}.h5 and {lacking[0]}_patches.h5; add the files, or set process to 0 for these "
            "slides in the process list"
        )
    found = {slide: files[slide_name(slide)] for slide in slides}
    return {slide: OwnCoords(path=path, sha256=_hash(path)) for slide, path in found.items()}


def load_own_coords(own: OwnCoords, size_px0: tuple[int, int]) -> GivenPatches:
    """Read the patches of a slide.

    Args:
        own: The patch file.
        size_px0: (w, h) of the slide.

    Raises:
        PathPluginsError: it cannot be read, records no size of its patches, or is of another slide.
    """
    if _hash(own.path) != own.sha256:
        raise SlideError(f"{own.path}: changed while the slides were worked on; run the same command again")
    found = read_patch_file(own.path)
    size, size_px0_recorded = found.geometry.patch_size, found.geometry.patch_size_level0
    if size is None or size_px0_recorded is None:
        raise SlideError(
            f"{own.path}: does not record how large its patches are; wanted the attributes of TRIDENT (patch_size, "
            "patch_size_level0) or CLAM (patch_size, patch_level, downsample) on `coords`: write it again with either"
        )
    side_px0 = round(size_px0_recorded)
    if side_px0 < size:
        raise SlideError(
            f"{own.path}: patches of {size} pixels are {side_px0} pixels of level 0, sharper than the slide; "
            "up-sampling is not supported: cut it at a lower magnification"
        )
    _check_slide(own.path, found, size_px0, side_px0 / size)
    repeated = repeats_of(found.coords_xy).rows
    notes = (f"{len(repeated)} of {len(found.coords_xy)} patches in {own.path.name} are there twice: dropped",)
    return GivenPatches(
        coords_xy=np.delete(found.coords_xy, repeated, axis=0),
        patch_size=size,
        patch_size_px0=side_px0,
        overlap=found.overlap,
        mpp=found.geometry.mpp,
        nominal=found.geometry.nominal,
        notes=notes if len(repeated) else (),
    )


def covered(coords_xy: np.ndarray, side_px0: int, size_px0: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Return what patches cover of a slide of ``size_px0`` (w, h), bool ``[H, W]`` of ``shape``."""
    mask = np.zeros(shape, bool)
    scale = np.array(shape[::-1]) / size_px0  # mask pixels per level-0 pixel, (x, y)
    low, high = (coords_xy * scale).round().astype(int), ((coords_xy + side_px0) * scale).round().astype(int)
    for (x0, y0), (x1, y1) in zip(low.tolist(), high.tolist(), strict=True):
        mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = True
    return mask


def _check_slide(path: Path, found: PatchFile, size_px0: tuple[int, int], downsample: float) -> None:
    """Refuse positions that are of a slide of another size."""
    recorded = found.geometry.level0_width, found.geometry.level0_height
    tolerance = ROUNDING_PX * max(downsample, 1.0) if found.tool == "clam" else 0
    if None not in recorded and any(abs(a - b) > tolerance for a, b in zip(recorded, size_px0, strict=True)):
        raise SlideError(
            f"{path}: is of a slide of {recorded[0]} x {recorded[1]} pixels, but the slide of its name has "
            f"{size_px0[0]} x {size_px0[1]}; give the patch files of these slides"
        )
    outside = (found.coords_xy < 0) | (found.coords_xy >= size_px0)  # those that reach over the edge are read padded
    if outside.any():
        row = int(outside.any(axis=1).argmax())
        raise SlideError(
            f"{path}: row {row} is at x, y = {found.coords_xy[row].tolist()}, outside the slide of {size_px0[0]} x "
            f"{size_px0[1]} pixels; give the patch files of these slides"
        )


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
