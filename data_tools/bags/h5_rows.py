"""Write H5 datasets as CLAM and TRIDENT do: chunks of one row, extendable."""

from __future__ import annotations

from collections.abc import Iterable

import h5py
import numpy as np

from pathplugins.core.errors import PathPluginsError


def write_rows(
    file: h5py.File, name: str, blocks: Iterable[np.ndarray], *, shape: tuple[int, int], dtype: str
) -> h5py.Dataset:
    """Write blocks ``[b, D]`` into a new dataset of ``shape`` (N, D).

    Raises:
        PathPluginsError: a number does not fit ``dtype``, or the blocks do not hold N rows.
    """
    dataset = file.create_dataset(name, shape, dtype, maxshape=(None, shape[1]), chunks=(1, shape[1]))
    done = 0
    for block in blocks:
        with np.errstate(over="ignore"):  # what does not fit the dtype becomes infinite and is refused below
            values = block.astype(dtype)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise PathPluginsError(f"{name} from row {done} on: a number does not fit {dtype}; pass --dtype float32")
        dataset[done : done + len(block)] = values
        done += len(block)
    if done != shape[0]:
        raise PathPluginsError(
            f"{done} rows of {name}, expected {shape[0]}; nothing was written, extract the slide again"
        )
    return dataset
