"""Recognise the kind of a feature or position file from its keys or its first line."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import h5py

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import is_file
from pathplugins.core.nearest import near_path
from pathplugins.data.bags.damage import damage_named
from pathplugins.data.bags.layout import open_bag
from pathplugins.data.bags.other_files import is_many_slides, other_file
from pathplugins.data.bags.shapes import own_dataset

Kind = Literal[
    "pathplugins",
    "unpuzzle",
    "clam",
    "trident",
    "stamp",
    "h5-features",
    "pathgen-mil",
    "histai-instruct",
    "slidechat-csv",
    "wsi-llava-pt",
    "patches",
    "slide-embedding",
]

H5_SUFFIXES, TORCH_SUFFIXES = (".h5", ".hdf5"), (".pt", ".pth")
SUFFIXES = (*H5_SUFFIXES, *TORCH_SUFFIXES, ".csv")
_HEAD_BYTES = 1 << 20  # of a CSV; enough for a header of 100,000 columns


def kind_of(path: Path) -> Kind:
    """Return the kind of a file.

    Raises:
        PathPluginsError: no kind matches, or the file cannot be read.
    """
    if not is_file(path):
        raise PathPluginsError(
            f"{path}: no such file; give a file of features or positions ({', '.join(SUFFIXES)}){near_path(path)}"
        )
    if path.suffix in TORCH_SUFFIXES:
        return "wsi-llava-pt"
    if path.suffix == ".csv":
        if feature_columns(path) is None:
            raise PathPluginsError(
                f"{path}: its first line is not 0,1,2,... as in SlideChat's features; give a CSV with a column "
                "per channel, or leave the file out"
            )
        return "slidechat-csv"
    with damage_named(path, then="copy or make it again"), open_bag(path) as file:
        return _h5_kind(file, path)


def feature_columns(path: Path) -> int | None:
    """Count the columns of a CSV whose header is 0, 1, 2, ...; None for any other header."""
    with path.open("rb") as stream:
        head = stream.readline(_HEAD_BYTES).decode("utf-8", errors="replace")
    names = head.strip().lstrip("\ufeff").split(",")
    return len(names) if len(names) > 1 and names == [str(i) for i in range(len(names))] else None


def _h5_kind(file: h5py.File, path: Path) -> Kind:
    keys = set(file)
    if {"features", "coords_yx"} <= keys:
        return "pathplugins" if "tool_version" in file.attrs else "unpuzzle"
    if "features" in keys:
        features = own_dataset(file, "features", str(path))
        shape = features.shape or ()
        if (len(shape) == 1 and shape[0]) or (len(shape) == 2 and shape[0] == 1 and "coords" not in keys):
            return "slide-embedding"
        if "coords" in keys:
            coords = own_dataset(file, "coords", str(path))
            return "trident" if len(coords.attrs) or "encoder" in features.attrs else "clam"
        return "h5-features"
    if {"feats", "coords"} <= keys:
        return "stamp"
    if "feats" in keys and file.attrs.get("feat_type") in ("slide", "patient"):
        return "slide-embedding"
    if "feats" in keys:
        return "h5-features"
    if "coords" in keys and not {"features", "feats", "img", "imgs"} & keys:
        return "patches"
    if keys and all(_is_slide_group(file, key) for key in keys):
        return "pathgen-mil"
    if "embeddings" in keys and is_many_slides(file):
        return "histai-instruct"
    if said := other_file(file):
        raise PathPluginsError(f"{path}: {said}")
    found = ", ".join(sorted(map(str, keys))[:10]) or "nothing"
    raise PathPluginsError(
        f"{path}: holds {found}; expected `features` with `coords_yx` or `coords`, `feats` with `coords`, `coords` "
        "alone, or a group with `feat` and `coords` per slide"
    )


def _is_slide_group(file: h5py.File, key: str) -> bool:
    if not isinstance(file.get(key, getlink=True), h5py.HardLink):
        return False
    return isinstance(file[key], h5py.Group) and {"feat", "coords"} <= set(file[key])
