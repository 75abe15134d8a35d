"""Contours: convert a mask to polygons with holes, and polygons to a mask.

Points are (x, y) in pixels of the mask, where pixel (0, 0) reaches from 0 to 1; `fill` undoes `polygons`.
"""

from __future__ import annotations

import numpy as np

from .morphology import find_runs

Ring = np.ndarray  #: ``[K, 2]`` (x, y), the first point not repeated
Polygon = list[Ring]  #: the outline, then the holes


def polygons(mask: np.ndarray, *, tolerance_px: float = 0.0) -> list[Polygon]:
    """Return one polygon for every 4-connected piece of a bool mask ``[H, W]``, from top to bottom.

    Args:
        mask: The mask to outline.
        tolerance_px: Points that shift the line by no more than this are left out; 0 keeps every corner.
    """
    rings, starts = _rings(mask)
    if not rings:
        return []
    outer = mask[starts[:, 1], starts[:, 0]]  # the pixel below a start is inside the line: of the piece, or of a hole
    runs, width = find_runs(mask), mask.shape[1] + 1
    ys = starts[:, 1] - ~outer  # the pixel above a hole is of the piece around it
    pieces = runs.pieces[np.searchsorted(runs.rows * width + runs.starts, ys * width + starts[:, 0], side="right") - 1]
    found: dict[int, Polygon] = {}
    for ring, piece in zip(rings, pieces.tolist(), strict=True):  # the outline of a piece comes before its holes
        found.setdefault(piece, []).append(_simplified(ring, tolerance_px))
    return list(found.values())


def _rings(mask: np.ndarray) -> tuple[list[Ring], np.ndarray]:
    """Return the closed lines between true and false pixels, and int64 ``[R, 2]`` (x, y) of their starts, top left.

    Corners lie in rows and columns. Along a row they are the ends of horizontal pieces of the line, so neighbours pair
    up; likewise along a column. Where two pixels touch at a corner only, two corners lie on one point, one of each.
    """
    padded = np.pad(mask, 1)
    top_left, top_right, low_left, low_right = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    falling = top_left & low_right & ~top_right & ~low_left
    rising = top_right & low_left & ~top_left & ~low_right
    ys, xs = np.nonzero((top_left ^ top_right ^ low_left ^ low_right) | falling | rising)
    twice = (falling | rising)[ys, xs]
    first = np.repeat(np.arange(len(ys)), 1 + twice)  # [V]: which point a corner lies on
    second = np.concatenate([[False], first[1:] == first[:-1]])[: len(first)]
    ys, xs, swap = ys[first], xs[first], rising[ys, xs][first]
    across = np.arange(len(ys)) ^ 1
    by_column = np.lexsort((second ^ swap, ys, xs))
    down = np.empty_like(across)
    down[by_column[0::2]], down[by_column[1::2]] = by_column[1::2], by_column[0::2]
    across, down, seen = across.tolist(), down.tolist(), bytearray(len(ys))
    lines: list[list[int]] = []
    for start in range(len(ys)):
        if seen[start]:
            continue
        line, corner = [], start
        while not seen[corner]:
            other = across[corner]
            line += (corner, other)
            seen[corner] = seen[other] = 1
            corner = down[other]
        lines.append(line)
    points = np.stack([xs, ys], axis=1)  # [V, 2]
    return [points[line] for line in lines], points[[line[0] for line in lines]] if lines else points


def _simplified(ring: Ring, tolerance_px: float) -> Ring:
    """Return ``ring`` with fewer points (Douglas-Peucker, from the first point and the one farthest from it)."""
    if tolerance_px <= 0:
        return ring
    closed = np.concatenate([ring, ring[:1]]).astype(np.float64)  # [K + 1, 2]
    far = int(np.hypot(*(ring - ring[0]).T).argmax())
    kept = np.zeros(len(closed), bool)
    kept[[0, far, -1]] = True
    spans = [(0, far), (far, len(ring))]
    while spans:
        low, high = spans.pop()
        if high - low < 2:
            continue
        (x0, y0), (dx, dy) = closed[low], closed[high] - closed[low]
        inner = closed[low + 1 : high]
        length = np.hypot(dx, dy)  # 0 where a line touches itself
        across = (inner[:, 0] - x0) * dy - (inner[:, 1] - y0) * dx
        off = np.abs(across) / length if length else np.hypot(inner[:, 0] - x0, inner[:, 1] - y0)
        worst = int(off.argmax())
        if off[worst] > tolerance_px:
            middle = low + 1 + worst
            kept[middle] = True
            spans += [(low, middle), (middle, high)]
    points = np.flatnonzero(kept[:-1])
    return ring[points] if len(points) > 2 else ring  # a pixel or two: no point can be left out


def fill(mask: np.ndarray, polygon: Polygon) -> None:
    """Set the pixels of ``mask`` (bool ``[H, W]``) whose centres are inside the polygon and not in its holes."""
    h, w = mask.shape
    starts = np.concatenate(polygon).astype(np.float64)  # [E, 2], every point is the start of an edge
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in polygon]).astype(np.float64)
    low = np.ceil(np.minimum(starts[:, 1], ends[:, 1]) - 0.5).clip(0, h).astype(np.int64)  # first row it crosses
    high = np.ceil(np.maximum(starts[:, 1], ends[:, 1]) - 0.5).clip(0, h).astype(np.int64)  # one past the last
    if not (high > low).any():
        return
    edge = np.repeat(np.arange(len(low)), high - low)  # [X], one entry a crossing of an edge and a row of centres
    rows = np.arange(len(edge)) - np.repeat(np.cumsum(high - low) - (high - low), high - low) + low[edge]
    (x0, y0), (x1, y1) = starts[edge].T, ends[edge].T
    columns = np.ceil(x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0) - 0.5).clip(0, w).astype(np.int64)
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max()
    crossings = np.zeros((bottom - top, right - left + 1), np.uint8)
    np.add.at(crossings, (rows - top, columns - left), 1)
    inside = np.cumsum(crossings, axis=1, dtype=np.uint8) & 1  # odd: inside; wrapping at 256 leaves that as it is
    mask[top:bottom, left:right] |= inside[:, :-1].astype(bool)
