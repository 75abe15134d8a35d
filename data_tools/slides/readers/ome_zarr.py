"""Read OME-Zarr slides with zarr: versions 0.4 and 0.5, whole folders.

Arrays are ``[H, W, C]`` once read, sizes (w, h).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.optional import need

from ..errors import SlideError
from .channels import colour_order
from .samples import Samples
from .tiled import TiledHandle, TiledLevel

SUFFIX = ".zarr"
MARKS = (".zattrs", ".zgroup", "zarr.json")  #: files of which a Zarr folder has one
MICRONS = {"nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3, "centimeter": 1e4, "meter": 1e6, "inch": 25400.0}


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a Zarr group."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def open_zarr(path: Path) -> TiledHandle:
    """Open a folder of OME-Zarr.

    Raises:
        SlideError: no image in it, or none that can be read as colours.
        MissingDependencyError: zarr is not installed.
    """
    zarr = need("zarr", extra="readers")
    try:
        group = zarr.open_group(path, mode="r")
        image, described = _image(path, group)
        multiscale = described["multiscales"][0]
        arrays = [image[str(dataset["path"])] for dataset in multiscale["datasets"]]
        axes = [axis if isinstance(axis, str) else axis["name"] for axis in multiscale.get("axes", "tczyx")]
    except (OSError, LookupError, ValueError, TypeError) as error:
        raise SlideError(
            f"{path}: zarr cannot read it as OME-Zarr ({type(error).__name__}: {error}); copy the whole folder again"
        ) from error
    arrays.sort(key=lambda array: -array.shape[axes.index("x")])
    chunks = _Chunks(path, arrays, axes)
    levels = [TiledLevel(size_px=chunks.side(a.shape), tile_px=chunks.side(a.chunks)) for a in arrays]
    properties = {"openslide.vendor": "ome-zarr", **_resolution(multiscale)}
    handle = TiledHandle(
        str(path), levels, chunks.decode, properties=properties, close=lambda: None, notes=chunks.notes
    )
    chunks.settle([str(channel.get("label", "")) for channel in described.get("omero", {}).get("channels", [])])
    return handle


class _Chunks:
    """Reads chunks of the arrays of a pyramid."""

    def __init__(self, path: Path, arrays: list[Any], axes: list[str]) -> None:
        self._path, self._arrays, self._axes = path, arrays, axes
        shape = dict(zip(axes, arrays[0].shape, strict=True))
        if shape.get("t", 1) > 1 or not {"x", "y"} <= shape.keys() <= set("tczyx"):
            raise SlideError(f"{path}: has the axes {shape}; wanted one time point of (c, z, y, x): save that")
        self._channels, depth = shape.get("c", 1), shape.get("z", 1)
        self._plane = depth // 2
        self.notes = (f"{path.name} has {depth} focal planes; read is number {self._plane + 1}",) if depth > 1 else ()
        self._samples = Samples(str(path), np.dtype(arrays[0].dtype), recorded_bits=None)
        self._order: tuple[int, ...] = (0, 0, 0)

    def side(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return (w, h) of a shape of the arrays."""
        return shape[self._axes.index("x")], shape[self._axes.index("y")]

    def settle(self, labels: list[str]) -> None:
        """Find the colours among the channels."""
        smallest = self._arrays[-1]
        overview = self._read(smallest, (0, 0), self.side(smallest.shape)) if self._channels > 1 else None
        self._samples.check(self._read(smallest, (0, 0), self.side(smallest.shape)))
        if overview is not None:
            names = labels if len(labels) == self._channels else [""] * self._channels
            self._order = colour_order(str(self._path), names, lambda: self._samples.to_8_bits(overview))

    def decode(self, level: int, column: int, row: int) -> np.ndarray:
        """Read a chunk: uint8 ``[h, w, 3]``."""
        array = self._arrays[level]
        w, h = self.side(array.chunks)
        tile = self._samples.to_8_bits(self._read(array, (column * w, row * h), (w, h)))[..., list(self._order)]
        tile = np.ascontiguousarray(tile)
        tile.setflags(write=False)
        return tile

    def _read(self, array: Any, corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """Read a box of an array: ``[h, w, C]`` as stored."""
        ranges = {"x": slice(corner[0], corner[0] + size[0]), "y": slice(corner[1], corner[1] + size[1])}
        index = tuple(
            ranges.get(axis, slice(self._plane, self._plane + 1) if axis == "z" else slice(None)) for axis in self._axes
        )
        try:
            box = np.asarray(array[index])
        except (OSError, RuntimeError, ValueError, LookupError) as error:
            raise SlideError(
                f"{self._path}: the chunk at {corner} of array {array.path} cannot be read ({error}); copy it again"
            ) from error
        names = list(self._axes)
        for axis in ("t", "z"):
            if axis in names:
                box = box.take(0, axis=names.index(axis))
                names.remove(axis)
        if "c" not in names:
            return box.transpose([names.index(axis) for axis in "yx"])[..., None]
        return box.transpose([names.index(axis) for axis in "yxc"])


def _image(path: Path, group: Any) -> tuple[Any, dict[str, Any]]:
    """Return the group that holds the image, and its description: the first of a bioformats2raw layout."""
    for candidate in (group, *(child for _, child in sorted(group.groups()))):
        attributes = dict(candidate.attrs)
        described = attributes.get("ome", attributes)
        if "plate" in described:
            raise SlideError(f"{path}: holds a plate of wells, not a slide; give the folder of one image")
        if described.get("multiscales"):
            return candidate, described
    raise SlideError(f"{path}: a Zarr folder without `multiscales`, so no OME-Zarr image; give the folder of the image")


def _resolution(multiscale: dict[str, Any]) -> dict[str, str]:
    """Return the microns per pixel of the sharpest level under OpenSlide's names; none where no unit is given."""
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in multiscale.get("axes", [])]
    scales = [step["scale"] for step in multiscale.get("coordinateTransformations", []) if "scale" in step]
    steps = [
        [step["scale"] for step in dataset.get("coordinateTransformations", []) if "scale" in step]
        for dataset in multiscale["datasets"]
    ]
    found = {}
    for place, axis in enumerate(axes):
        unit = MICRONS.get(str(axis.get("unit", "")))
        if axis["name"] in ("x", "y") and unit and all(steps):
            sharpest = min(float(np.prod([scale[place] for scale in each])) for each in steps)
            mpp = sharpest * float(np.prod([scale[place] for scale in scales])) * unit
            found[f"openslide.mpp-{axis['name']}"] = f"{mpp:.10g}"
    return found
