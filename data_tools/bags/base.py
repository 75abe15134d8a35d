"""Types that the readers of feature containers share: a source, its geometry, and its features opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from pathplugins.core.errors import PathPluginsError

_NOMINAL = 1.5  # a magnification is 0.7 to 1.5 times what is measured; further off, one of the two is wrong
_SAME = 0.05  # tolerance: 10 / magnification only approximates the mpp, while a mix-up of axes or levels is 2x

OPTIONS = {
    "encoder": "--encoder NAME",
    "patch_size": "--patch-size PIXELS",
    "patch_size_level0": "--patch-size-level0 PIXELS",
    "mpp": "--mpp UM",
    "level0_mpp": "--level0-mpp UM",
    "level0_width": "--slide-size WxH",
    "level0_height": "--slide-size WxH",
}
"""Field of ``Geometry`` -> the option that sets it."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The file, or the group in a file, that holds one slide's features."""

    path: Path
    kind: str
    """A key of ``READERS``."""
    slide_id: str
    group: str | None = None
    """H5 group of the slide, in a file with several slides."""

    def __str__(self) -> str:
        return f"{self.path}" + (f"[{self.group}]" if self.group else "")


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Size, resolution and encoder of patches, with the fields of ``BagInfo``; None where nothing is recorded."""

    encoder: str | None = None
    patch_size: int | None = None
    patch_size_level0: float | None = None
    mpp: float | None = None
    level0_mpp: float | None = None
    level0_width: int | None = None
    level0_height: int | None = None
    nominal: bool = False
    """Whether both mpp follow from a magnification; they give way to any that is stated."""

    def filled(self, other: Geometry, *, where: str, said_by: str) -> Geometry:
        """Return a copy with missing fields taken from ``other``.

        Raises:
            PathPluginsError: a field differs in both.
        """
        mine, other = self._without_nominal(other), other._without_nominal(self)
        values = asdict(mine) | {"nominal": mine.nominal or other.nominal}
        for name, value in asdict(other).items():
            if name == "nominal":
                continue
            known = values[name]
            if known is None:
                values[name] = value
            elif value is not None and not _same(known, value):
                raise PathPluginsError(
                    f"{where}: {name} is {known} there but {value} in {said_by}; correct the wrong one"
                )
        return Geometry(**values)

    def _without_nominal(self, other: Geometry) -> Geometry:
        """Return a copy without mpp that are nominal, if ``other`` states one that is not."""
        pairs = [(self.mpp, other.mpp), (self.level0_mpp, other.level0_mpp)]
        if not self.nominal or other.nominal or all(stated is None for _, stated in pairs):
            return self
        if any(mine and stated and max(mine / stated, stated / mine) > _NOMINAL for mine, stated in pairs):
            return self  # no rounding: left for the comparison to refuse
        return replace(self, mpp=None, level0_mpp=None, nominal=False)

    def completed(self) -> Geometry:
        """Return a copy with the sizes and resolutions that follow from the others."""
        values = asdict(self)
        size, side_px0, mpp, level0_mpp = (
            values[name] for name in ("patch_size", "patch_size_level0", "mpp", "level0_mpp")
        )
        if size and side_px0 and level0_mpp and not mpp:
            values["mpp"] = level0_mpp * side_px0 / size
        elif size and side_px0 and mpp and not level0_mpp:
            values["level0_mpp"] = mpp * size / side_px0
        elif size and mpp and level0_mpp and not side_px0:
            values["patch_size_level0"] = round(size * mpp / level0_mpp)
        elif side_px0 and mpp and level0_mpp and not size:
            values["patch_size"] = round(side_px0 * level0_mpp / mpp)
        return Geometry(**values)

    def require(self, names: tuple[str, ...], *, where: str) -> None:
        """Raise ``PathPluginsError`` unless all fields in ``names`` are known."""
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            options = ", ".join(dict.fromkeys(OPTIONS[name] for name in missing))
            raise PathPluginsError(
                f"{where}: records no {', '.join(missing)}; pass {options}, or --coords DIR with the patch files "
                "(coords H5) of these slides"
            )

    @classmethod
    def of(cls, values: Any) -> Geometry:
        """Return the geometry in the fields of a ``BagInfo``."""
        return cls(**{field.name: getattr(values, field.name) for field in fields(cls)})


@dataclass(frozen=True, kw_only=True)
class Opened:
    """One slide's opened features."""

    rows: int
    width: int
    dtype: str
    blocks: Iterator[np.ndarray]
    """``[b, D]`` each, in the order of the positions."""
    geometry: Geometry
    """As recorded."""
    coords_xy: np.ndarray | None
    """Top-left corners ``[N, 2]`` (x, y) in ``unit``; None if the container holds no positions."""
    unit: Literal["px0", "um"] = "px0"
    notes: tuple[str, ...] = ()


def group_of(file: h5py.File, source: Source) -> h5py.Group:
    """Return the group of one slide in a file of many.

    Raises:
        PathPluginsError: it is a link to another file.
    """
    if not isinstance(file.get(source.group, getlink=True), h5py.HardLink):
        raise PathPluginsError(
            f"{source}: is a link to another file, which is not followed; copy the data into the file"
        )
    return file[source.group]


def _same(known: Any, value: Any) -> bool:
    if isinstance(known, str) or isinstance(value, str):
        return known == value
    return abs(known - value) <= _SAME * abs(known)
