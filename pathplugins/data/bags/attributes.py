"""Attributes of a bag or patch file: what they say of slide, encoder and resolution, by the names of every tool."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np

from pathplugins.data.bags.bad_bag import BadBag

_GEOMETRY_TOLERANCE = 0.05  # tiling tools round patch_size_level0 to whole pixels; axis or level mix-ups are 2x

_MPP_AT_1X = 10.0  # the field's convention: 40x is 0.25, 20x is 0.5
_ATTRIBUTES = (
    *("slide_id", "encoder", "patch_size", "patch_size_level0", "mpp", "level0_mpp", "level0_width", "level0_height"),
    "mpp_source",
    *("name", "level0_magnification", "target_magnification"),  # TRIDENT
    *("extractor", "unit", "tile_size_um", "tile_size_px"),  # STAMP
)

NOMINAL_SOURCE = "nominal magnification"
"""``mpp_source`` of bags whose resolution follows from a magnification alone: 40x is called 0.25 um/px, and is 0.22 to
0.27."""


def recorded(holders: Iterable[h5py.HLObject | None]) -> dict[str, Any]:
    """Return the attributes of a file and its datasets that `described` knows; a later holder's count."""
    return {
        name: _scalar(holder.attrs[name])
        for holder in holders
        if holder is not None
        for name in {*holder.attrs} & {*_ATTRIBUTES}
    }


def described(attributes: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the fields of ``BagInfo`` that attributes of a bag or patch file give, by the names of every tool."""

    def number(*names: str) -> float | None:
        return next((value for name in names if (value := _number(attributes, name, path)) is not None), None)

    def integer(*names: str) -> int | None:
        value = number(*names)
        return None if value is None else round(value)

    unit = _text(attributes, "unit")
    if unit not in (None, "um"):
        raise BadBag(f"{path}: coordinates are in {unit!r}, expected 'um'; convert the bag", reason="unknown unit")
    patch_size = integer("patch_size", "tile_size_px")
    tile_size_um = number("tile_size_um")
    tiled_mpp = tile_size_um / patch_size if tile_size_um and patch_size else None
    mpp, level0_mpp, side_px0 = number("mpp") or tiled_mpp, number("level0_mpp"), number("patch_size_level0")
    power, power0 = number("target_magnification"), number("level0_magnification")
    nominal = _text(attributes, "mpp_source") == NOMINAL_SOURCE
    if mpp is None and level0_mpp is None:
        mpp, level0_mpp = (_MPP_AT_1X / value if value else None for value in (power, power0))
        nominal = nominal or mpp is not None or level0_mpp is not None
    else:  # one that was measured says the other, which a magnification would only round
        reduction = side_px0 / patch_size if side_px0 and patch_size else power0 / power if power0 and power else None
        mpp, level0_mpp = (
            mpp or (level0_mpp * reduction if level0_mpp and reduction else None),
            level0_mpp or (mpp / reduction if mpp and reduction else None),
        )
    return {
        "slide_id": _text(attributes, "slide_id") or _text(attributes, "name"),
        "encoder": _text(attributes, "encoder") or _text(attributes, "extractor"),
        "patch_size": patch_size,
        "patch_size_level0": side_px0,
        "mpp": mpp,
        "level0_mpp": level0_mpp,
        "nominal": nominal,
        "level0_width": integer("level0_width"),
        "level0_height": integer("level0_height"),
        "units": "um" if unit == "um" else "px0",
    }


def geometry_contradiction(
    patch_size: int | None, mpp: float | None, patch_size_level0: float | None, level0_mpp: float | None
) -> str | None:
    """Return how two descriptions of a patch contradict each other in microns; None if they agree."""
    if None in (patch_size, mpp, patch_size_level0, level0_mpp):
        return None
    tiled_um, level0_um = patch_size * mpp, patch_size_level0 * level0_mpp
    if abs(tiled_um - level0_um) <= _GEOMETRY_TOLERANCE * level0_um:
        return None
    return (
        f"patch_size {patch_size} x mpp {mpp:g} is {tiled_um:g} um of tissue but patch_size_level0 "
        f"{patch_size_level0:g} x level0_mpp {level0_mpp:g} is {level0_um:g} um; one of the four is wrong, correct it"
    )


def _scalar(value: Any) -> Any:
    if isinstance(value, h5py.Empty):
        return None
    return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value


def _text(attributes: dict[str, Any], name: str) -> str | None:
    value = attributes.get(name)
    value = value.decode(errors="replace") if isinstance(value, bytes) else value
    return None if value is None or str(value) in ("", "None") else str(value)  # TRIDENT writes None as "None"


def _number(attributes: dict[str, Any], name: str, path: str) -> float | None:
    text = _text(attributes, name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise BadBag(
            f"{path}: attribute `{name}` is {text!r}, expected a positive number; correct or remove it",
            reason="bad attribute",
        )
    return value
