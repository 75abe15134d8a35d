"""Other tools' H5 files that are given as bags: what they are, and the command that makes a bag of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import h5py


class OtherFile(NamedTuple):
    """A kind of H5 file that is no bag."""

    has: frozenset[str]
    """Keys that it has."""
    lacks: frozenset[str]
    """Keys that it has not."""
    what: str
    next_step: str


_FEATURES = frozenset(("features", "feats"))
OTHER_FILES = (
    OtherFile(
        frozenset(("img", "coords")),
        _FEATURES,
        "patches as pictures (HEST and the like), not features",
        "encode the slide itself: pathdata run SLIDE --out WORK --encoder NAME",
    ),
    OtherFile(
        frozenset(("imgs", "coords")),
        _FEATURES,
        "patches as pictures (CLAM's create_patches), not features",
        "encode the slide itself: pathdata run SLIDE --out WORK --encoder NAME",
    ),
    OtherFile(
        frozenset(("coords",)),
        _FEATURES,
        "patch positions without features",
        "encode them: pathdata features WORK --encoder NAME for those of pathdata patch, the tool's own feature step "
        "for CLAM's and TRIDENT's; beside features, give them to pathdata convert features IN --coords DIR --out OUT",
    ),
    OtherFile(
        frozenset(("features",)),
        frozenset(("coords", "coords_yx")),
        "features without positions",
        "add those of the patch files of the slides (pathdata convert features IN --coords DIR --out OUT), or take a "
        "tower that asks for none (vision_model_name: features)",
    ),
    OtherFile(
        frozenset(("feats",)),
        frozenset(("coords",)),
        "features without positions (STAMP's of a slide or patient have none)",
        "give those of the tiles, or add positions (pathdata convert features IN --coords DIR --out OUT), or take a "
        "tower that asks for none (vision_model_name: features)",
    ),
    OtherFile(
        frozenset(("X", "obs", "var")),
        _FEATURES,
        "an AnnData table (.h5ad), not features of patches",
        "leave it out",
    ),
    OtherFile(
        frozenset(("matrix",)),
        _FEATURES,
        "a matrix of 10x Genomics, not features of patches",
        "leave it out",
    ),
    OtherFile(
        frozenset(("model_weights",)),
        _FEATURES,
        "weights of a Keras model",
        "give the features that it was used for",
    ),
    OtherFile(
        frozenset(("fields", "masks")),
        _FEATURES,
        "a slide of PathML (h5path)",
        "encode the slide itself: pathdata run SLIDE --out WORK --encoder NAME",
    ),
)
"""By precedence."""


def other_file(file: h5py.File | Mapping[str, object]) -> str | None:
    """Return what a file is that is no bag, and the next step, in a clause; None for none of those known."""
    keys = set(file)
    for kind in OTHER_FILES:
        if kind.has <= keys and not kind.lacks & keys:
            return f"it holds {kind.what}; {kind.next_step}"
    if keys and all(_is_slide(file, key) for key in sorted(keys, key=str)[:3]):
        return (
            "it holds a group of `feat` and `coords` for each slide (PathGen's MIL features); a bag is one slide: "
            "pathdata convert features FILE --out DIR"
        )
    if "embeddings" in keys and is_many_slides(file):
        return (
            "it holds `embeddings/<slide>/features` of many slides (HISTAI-Instruct); a bag is one slide: pathdata "
            "convert features FILE --to bare --out DIR"
        )
    return None


def _is_slide(file: h5py.File | Mapping[str, object], key: str) -> bool:
    if not isinstance(file, h5py.File) or not isinstance(file.get(key, getlink=True), h5py.HardLink):
        return False
    return isinstance(file[key], h5py.Group) and {"feat", "coords"} <= set(file[key])


def is_many_slides(file: h5py.File | Mapping[str, object]) -> bool:
    """Return whether a file's ``embeddings`` are a group with ``features`` for each slide; looks at three of them."""
    if not isinstance(file, h5py.File) or not isinstance(file.get("embeddings", getlink=True), h5py.HardLink):
        return False
    slides = file["embeddings"]
    names = [*itertools.islice(slides, 3)] if isinstance(slides, h5py.Group) else []
    own = [isinstance(slides.get(name, getlink=True), h5py.HardLink) for name in names]
    groups = [slides[name] for name, here in zip(names, own, strict=True) if here]
    return bool(names) and all(own) and all(isinstance(each, h5py.Group) and "features" in each for each in groups)
