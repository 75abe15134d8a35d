"""Magnifications of bags: say where the patches of one run are of several microns per pixel."""

from __future__ import annotations

from collections.abc import Mapping

from pathplugins.data.records import first_shown

_SAME = 0.05  # scanners call 0.499 or 0.503 "20x"; another magnification is a factor of two


def other_magnifications(mpps: Mapping[str, float | None]) -> dict[str, str]:
    """Return path -> clause for the bags whose patches are of another resolution than most.

    Args:
        mpps: path of every bag -> microns per pixel of its patches; None where it records none.
    """
    known = {path: mpp for path, mpp in mpps.items() if mpp is not None}
    if not known:
        return {}
    alike = {mpp: sum(abs(mpp / other - 1) <= _SAME for other in known.values()) for mpp in {*known.values()}}
    usual = max(known.values(), key=alike.__getitem__)  # the first of equals
    return {
        path: f"patches at {mpp:.3g} um/px, {alike[usual]} of {len(known)} bags here are at {usual:.3g}"
        for path, mpp in known.items()
        if abs(mpp / usual - 1) > _SAME
    }


def magnifications_text(mpps: Mapping[str, float | None]) -> str | None:
    """Return a sentence on bags of several resolutions in one run; None if all agree."""
    others = other_magnifications(mpps)
    if not others:
        return None
    lines = [f"{path}: {clause}" for path, clause in others.items()]
    return (
        f"{len(others)} bags are of another magnification than the rest; an encoder sees other tissue there: extract "
        f"them again with one --mpp, unless several are wanted:\n{first_shown(lines)}"
    )
