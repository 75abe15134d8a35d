"""Datasets of bags: values in the file itself, of the right shape and type, written to their end."""

from __future__ import annotations

import h5py

from pathplugins.data.bags.bad_bag import BadBag
from pathplugins.data.bags.filters import missing_filter


def own_dataset(file: h5py.Group, key: str, path: str) -> h5py.Dataset:
    """Return a dataset whose values lie in this file; refuse links, and values stored elsewhere."""
    refusal = f"{path}: `{key}` %s, which is not followed: copy the data itself into the file (e.g. with h5repack)"
    link = file.get(key, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise BadBag(refusal % f"is a {type(link).__name__} to another place", reason="linked data")
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset):
        raise BadBag(f"{path}: `{key}` is a {type(dataset).__name__}, expected a dataset", reason="missing dataset")
    if dataset.is_virtual or dataset.external:
        raise BadBag(refusal % "keeps its values in other files", reason="linked data")
    if unread := missing_filter(dataset):
        raise BadBag(f"{path}: `{key}` {unread}", reason="missing filter")
    return dataset


def check_shapes(features: h5py.Dataset, coords: h5py.Dataset | None, path: str) -> None:
    """Check that features are ``[N, D]`` floats with one position each if there are any, written to their end."""
    if coords is None:
        check_features(features, path)
        return
    _check_some(coords, path)
    check_features(features, path)
    n = features.shape[0]
    if coords.shape != (n, 2):
        raise BadBag(
            f"{path}: coordinates are {coords.shape} but features are {features.shape}; expected ({n}, 2), "
            "one position per feature row: extract the bag again",
            reason="wrong shape",
        )
    _check_stored(coords, path, "iuf", "integers")


def check_features(features: h5py.Dataset, path: str) -> None:
    """Check that features are ``[N, D]`` floats, written to their end."""
    _check_some(features, path)
    if features.ndim != 2:
        hint = "; a single vector is a slide embedding, not a bag" if features.ndim == 1 else ""
        raise BadBag(
            f"{path}: features are {features.shape}, expected (N, D), one row per patch{hint}; extract patch features",
            reason="wrong shape",
        )
    _check_stored(features, path, "f", "float16 or float32")


def _check_some(dataset: h5py.Dataset, path: str) -> None:
    if dataset.shape is None or 0 in dataset.shape:
        raise BadBag(
            f"{path} is an empty bag (`{dataset.name[1:]}` is {dataset.shape}); expected at least one patch: "
            "leave the slide out or extract it again",
            reason="empty bag",
        )


def _check_stored(dataset: h5py.Dataset, path: str, kinds: str, wanted: str) -> None:
    if dataset.dtype.kind not in kinds or dataset.dtype.itemsize > 8:
        bfloat16 = kinds == "f" and dataset.dtype.itemsize == 2
        hint = " (bfloat16 as whole numbers? save it as float16)" if bfloat16 else ""
        raise BadBag(
            f"{path}: `{dataset.name[1:]}` holds {dataset.dtype}, expected {wanted}{hint}; extract the bag again",
            reason="wrong dtype",
        )
    if dataset.id.get_space_status() != h5py.h5d.SPACE_STATUS_ALLOCATED:
        # HDF5 would hand out zeros for what was never written
        raise BadBag(
            f"{path}: `{dataset.name[1:]}` was not written to its end, the tool that made it probably "
            "stopped half-way; extract it again",
            reason="half-written bag",
        )
