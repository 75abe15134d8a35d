"""Bag layout: which kind of H5 file a feature bag is, and what its attributes say.

==============  ==========================  =============  ====================================
convention      datasets                    order, unit    recognised by
==============  ==========================  =============  ====================================
``pathplugins`` ``features``, ``coords_yx`` y, x, level-0  root attribute ``tool_version``
``unpuzzle``    ``features``, ``coords_yx`` y, x, unsaid   ``coords_yx`` and no ``tool_version``
``trident``     ``features``, ``coords``    x, y, level-0  attributes on either dataset
``clam``        ``features``, ``coords``    x, y, unsaid   no attributes
``stamp``       ``feats``, ``coords``       x, y, microns  ``feats``; unit only if it is recorded
``bare``        ``features`` or ``feats``   no positions   neither, for towers that ask for none
==============  ==========================  =============  ====================================

``features`` may be a group of one dataset, whose name is the encoder's then (PathoSynVLM's ``/features/conch_v15``).
A leading axis of one, as in features (1, N, D), is looked through. Bags of this package also hold
``features_checksums``, one number for each feature row; those of its first versions do not.

Only data inside the file itself is read: links, external storage and virtual datasets are refused, because each of
them can bring in another file, or silently zeros when that file is gone.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import h5py
import numpy as np

from pathplugins.core.file_heads import GIT_LFS_POINTER
from pathplugins.core.files import is_file
from pathplugins.core.spreadsheets import Spellings
from pathplugins.data.bags.attributes import described, geometry_contradiction, recorded
from pathplugins.data.bags.bad_bag import BadBag
from pathplugins.data.bags.other_files import other_file
from pathplugins.data.bags.shapes import check_shapes, own_dataset
from pathplugins.data.bags.squeezed import squeezed

Convention = Literal["pathplugins", "unpuzzle", "trident", "clam", "stamp", "bare"]

_KEYS_SHOWN = 10
_METADATA_BYTES = (
    128 * 1024
)  # HDF5's default, 2 MiB and more, takes 12 MiB of memory for a list of chunks, without gain

CHECKSUMS = "features_checksums"
"""Dataset of our own bags."""


@dataclass(frozen=True, kw_only=True)
class BagInfo:
    """The facts that a bag records about itself; ``None`` where it records none."""

    path: str
    rows: int
    """N, the number of patches."""
    width: int
    """D, the number of features per patch."""
    dtype: str
    """Type of the features, in native byte order, e.g. ``float16``."""
    convention: Convention
    slide_id: str | None = None
    encoder: str | None = None
    """The patch encoder the features were made with."""
    patch_size: int | None = None
    """Side of a patch as the encoder saw it, pixels at ``mpp``."""
    patch_size_level0: float | None = None
    """Side of a patch, level-0 pixels."""
    mpp: float | None = None
    """Microns per pixel of the patches as tiled."""
    level0_mpp: float | None = None
    nominal: bool = False
    """Whether both mpp follow from a magnification (40x is 0.25) that nobody measured."""
    level0_width: int | None = None
    level0_height: int | None = None
    units: Literal["px0", "um"] = "px0"
    """Unit of the stored coordinates."""
    positions: bool = True
    """Whether there are coordinates."""


class BagData(NamedTuple):
    """The two datasets of an open bag."""

    info: BagInfo
    features: h5py.Dataset  # [N, D]
    coords: h5py.Dataset | None  # [N, 2], stored order
    checksums: h5py.Dataset | None  # [N], ``row_checksums`` of the features, which bags of this package have


def open_bag(path: str | os.PathLike[str]) -> h5py.File:
    """Open a bag read-only.

    Raises:
        BadBag: no such file, or no HDF5 file.
        OSError: the file cannot be read, now or at all.
    """
    path = Path(path)
    if not is_file(path):
        cause = _renamed(path.parent, path.stem)
        raise BadBag(f"{path}: no such file; expected a feature bag (.h5) there{cause}", reason="missing file")
    if not h5py.is_hdf5(path):
        with path.open("rb") as stream:
            head = stream.read(64)
        if head.startswith(GIT_LFS_POINTER):
            raise BadBag(
                f"{path} is a Git-LFS pointer, not the data itself; fetch it with `git lfs pull`",
                reason="Git-LFS pointer",
            )
        got = f"it starts with {head[:8]!r}" if head else "it is empty"
        raise BadBag(
            f"{path} is not an HDF5 file ({got}); expected a feature bag, copy or extract it again",
            reason="not an HDF5 file",
        )
    # best-effort: many cluster file systems and read-only mounts have no locks
    file = h5py.File(path, "r", locking="best-effort")
    cache = file.id.get_mdc_config()
    cache.set_initial_size, cache.initial_size, cache.min_size, cache.max_size = True, *[_METADATA_BYTES] * 3
    file.id.set_mdc_config(cache)
    return file


def _renamed(folder: Path, name: str) -> str:
    """Return what to add about a bag that is missing where a spreadsheet may have changed its name."""
    names = _spellings(folder).of(name)
    return f"; did a spreadsheet change its name? {' or '.join(names[:3])} is there" if names else ""


@functools.lru_cache(maxsize=8)
def _spellings(folder: Path) -> Spellings:
    return Spellings(path.stem for path in folder.glob("*.h5"))


def read_layout(file: h5py.File, path: str, *, positions: bool = True) -> BagData:
    """Recognise an open bag from its keys, shapes and attributes; reads no feature row.

    Args:
        file: The open file.
        path: Where it is, for messages.
        positions: Refuse a bag without coordinates; False takes it too.
    """
    convention, features_key, coords_key = _convention(file, path, positions)
    features_key, named = _in_group(file, features_key, path)
    features = squeezed(own_dataset(file, features_key, path))
    coords = None if coords_key is None else squeezed(own_dataset(file, coords_key, path))
    check_shapes(features, coords, path)
    if convention == "clam" and (len(coords.attrs) or "encoder" in features.attrs):
        convention = "trident"
    attributes = recorded((file, features, coords))
    about = described(attributes, path)
    about["encoder"] = about["encoder"] or named
    info = BagInfo(
        path=path,
        rows=features.shape[0],
        width=features.shape[1],
        dtype=str(features.dtype.newbyteorder("=")),
        convention=convention,
        positions=coords is not None,
        **about,
    )
    _check_geometry(info)
    own = convention in ("pathplugins", "bare") and CHECKSUMS in file
    return BagData(info, features, coords, _checksums(file, info) if own else None)


def _convention(file: h5py.File, path: str, positions: bool) -> tuple[Convention, str, str | None]:
    keys = set(file)
    if {"features", "coords_yx"} <= keys:
        return ("pathplugins" if "tool_version" in file.attrs else "unpuzzle"), "features", "coords_yx"
    if {"features", "coords"} <= keys:
        return "clam", "features", "coords"  # TRIDENT differs by attributes, looked at once the datasets are open
    if {"feats", "coords"} <= keys:
        return "stamp", "feats", "coords"
    if not positions and (alone := next((key for key in ("features", "feats") if key in keys), None)):
        return "bare", alone, None
    if said := other_file(file):
        raise BadBag(f"{path} is no bag: {said}", reason="no bag")
    found = ", ".join(sorted(map(str, keys))[:_KEYS_SHOWN]) + ", ..." * (len(keys) > _KEYS_SHOWN)
    raise BadBag(
        f"{path} has {found or 'no datasets'}; expected `features` with `coords_yx` or `coords`, or `feats` with "
        "`coords`, one slide per file: extract the bag again or convert it",
        reason="missing dataset",
    )


def _in_group(file: h5py.File, key: str, path: str) -> tuple[str, str | None]:
    """Return the key of the one dataset in the group ``key``, and its name; ``key`` itself where that is a dataset."""
    if not isinstance(file.get(key, getlink=True), h5py.HardLink) or not isinstance(file[key], h5py.Group):
        return key, None
    names = sorted(map(str, file[key]))
    if len(names) != 1:
        held = ", ".join(names[:_KEYS_SHOWN]) or "nothing"
        raise BadBag(
            f"{path}: the group `{key}` holds {held}; expected one dataset, of one encoder: copy the one you want into "
            f"a file of its own (h5copy -i {path} -o NEW.h5 -p -s {key}/NAME -d {key}/NAME)",
            reason="several encoders" if names else "missing dataset",
        )
    return f"{key}/{names[0]}", names[0]


def _checksums(file: h5py.File, info: BagInfo) -> h5py.Dataset:
    checksums = own_dataset(file, CHECKSUMS, info.path)
    if checksums.shape != (info.rows,) or checksums.dtype != np.uint64:
        raise BadBag(
            f"{info.path}: `{CHECKSUMS}` is {checksums.dtype} {checksums.shape}, expected uint64 ({info.rows},), one "
            "checksum per feature row; extract the bag again",
            reason="wrong shape",
        )
    return checksums


def _check_geometry(info: BagInfo) -> None:
    contradiction = geometry_contradiction(info.patch_size, info.mpp, info.patch_size_level0, info.level0_mpp)
    if contradiction:
        raise BadBag(f"{info.path}: {contradiction}", reason="bad attribute")
