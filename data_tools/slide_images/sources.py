"""Sources of patches: the coordinate files and bags of slides, and what they say of each patch.

Positions are (x, y) of top-left corners in level-0 pixels. Axes: N patches, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.data.bags import Bag, BagInfo, inspect_bag, read_bag

from ..splits.row_groups import slide_name
from ..tiling.coord_files import PatchSet, read_coords


@dataclass(frozen=True, kw_only=True)
class Source:
    """The files with the patches of one slide; at least one of them."""

    slide_id: str
    coords: Path | None = None
    """Coordinate file of ``pathdata patch``; it goes before the bag's own positions."""
    bag: Path | None = None

    @property
    def main(self) -> Path:
        """The file that decides which patches there are."""
        return self.coords or self.bag  # type: ignore[return-value] # one of them is there


@dataclass(frozen=True, kw_only=True)
class SlidePatches:
    """The patches of one slide."""

    coords_xy: np.ndarray
    """int64 ``[N, 2]``."""
    patch_size: int
    """Side of a picture, pixels."""
    patch_size_level0: int
    level0_mpp: float
    recorded: PatchSet | None
    """What the coordinate file says besides; None for the patches of a bag alone."""


def find_sources(patches: Path, bags: Path | None, *, features: bool) -> dict[str, Source]:
    """Return the sources in a folder, by name of the slide.

    Args:
        patches: Work folder of ``pathdata patch``, ``features`` or ``run`` (``coords/`` and ``bags/``), or a folder of
            bags.
        bags: Folder of bags elsewhere.
        features: Whether features are needed, which only bags have.

    Raises:
        PathPluginsError: no such folder, nothing in it, or features are needed and there are none.
    """
    for folder in filter(None, (patches, bags)):
        if not folder.is_dir():
            raise PathPluginsError(f"{folder}: no such folder{near_path(folder) or '; run pathdata patch first'}")
    coords = _by_slide(patches / "coords")
    found = _by_slide(bags) if bags else _by_slide(patches / "bags") or ({} if coords else _by_slide(patches))
    if not (coords or found):
        raise PathPluginsError(
            f"{patches}: neither coords/*.h5 nor bags (*.h5) in it; run pathdata patch SLIDE... --out {patches} first"
        )
    if features and not found:
        raise PathPluginsError(
            f"{patches}: no bags, and --select kmeans looks at features; run pathdata features {patches} first, pass "
            "--bags DIR, or choose --select spatial"
        )
    names = found if features else {**found, **coords}
    return {
        name: Source(slide_id=names[name].stem, coords=coords.get(name), bag=found.get(name)) for name in sorted(names)
    }


def read_patches(source: Source) -> SlidePatches:
    """Read where the patches of a slide are.

    Raises:
        PathPluginsError: a file that cannot be read, or a bag that does not say where its patches are on the slide.
    """
    if source.coords is not None:
        recorded = read_coords(source.coords)
        return SlidePatches(
            coords_xy=recorded.coords_xy,
            patch_size=recorded.patch_size,
            patch_size_level0=recorded.patch_size_level0,
            level0_mpp=recorded.level0_mpp,
            recorded=recorded,
        )
    return _of_bag(source.main)


def _of_bag(path: Path) -> SlidePatches:
    info = inspect_bag(path)
    side_px0 = info.patch_size_level0
    if side_px0 is None and info.patch_size and info.mpp and info.level0_mpp:
        side_px0 = info.patch_size * info.mpp / info.level0_mpp
    if info.level0_mpp is None or side_px0 is None:
        missing = "level0_mpp" if info.level0_mpp is None else "patch_size_level0"
        raise PathPluginsError(
            f"{path}: does not record {missing}, so its patches cannot be found on the slide; "
            "write bags that do, pathdata convert features with --coords, or with --level0-mpp and --patch-size-level0"
        )
    return SlidePatches(
        coords_xy=_on_level0(path, info).coords_xy,
        patch_size=info.patch_size or round(side_px0),
        patch_size_level0=round(side_px0),
        level0_mpp=info.level0_mpp,
        recorded=None,
    )


def read_features(source: Source, coords_xy: np.ndarray) -> np.ndarray:
    """Read the features of a slide, ``[N, D]`` float32.

    Args:
        source: Has a bag.
        coords_xy: The patches that are chosen from, ``[N, 2]``, which must be those of the bag.

    Raises:
        PathPluginsError: the bag is of other patches, or holds NaN or infinity.
    """
    path: Path = source.bag  # type: ignore[assignment] # the caller says that there is one
    bag = _on_level0(path, inspect_bag(path))
    if not np.array_equal(bag.coords_xy, coords_xy):
        raise PathPluginsError(
            f"{path} is of other patches ({len(bag.features)}) than {source.main} ({len(coords_xy)}); run pathdata "
            "features --overwrite on this slide, or pass the folder of the bags as --patches"
        )
    features = bag.features.astype(np.float32)
    if not np.isfinite(features).all():
        raise PathPluginsError(f"{path} holds NaN or infinity; run pathdata inspect on it, and extract it again")
    return features


def _on_level0(path: Path, info: BagInfo) -> Bag:
    """Read a bag with positions in level-0 pixels, in which all but those in microns are stored."""
    return read_bag(path, frame_mpp=info.level0_mpp if info.units == "um" else None)


def _by_slide(folder: Path) -> dict[str, Path]:
    """Return the H5 files directly in a folder, by name of the slide."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("[!.]*.h5")):
        if (other := found.setdefault(slide_name(path.name), path)) != path:
            raise PathPluginsError(f"{other} and {path} are of one slide; move one of them elsewhere")
    return found
