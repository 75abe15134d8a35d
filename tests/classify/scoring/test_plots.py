"""Drawings: coordinates that point up where values rise, and colours that can be read."""

from __future__ import annotations

import numpy as np

from pathplugins.classify.scoring.calibration import reliability
from pathplugins.classify.scoring.plots import SIDE, bars, contrast, curves, ground_of, shades, text_on


def test_curves_rise_and_are_told_apart() -> None:
    lines = curves({f"class {index}": [(0.0, 0.0), (0.25, 0.5), (1.0, 1.0)] for index in range(20)})
    assert lines[0].points == f"0.0,{SIDE}.0 {SIDE / 4},{SIDE / 2} {SIDE}.0,0.0"
    assert len({(line.hue, line.dash) for line in lines}) == 20


def test_bars_stand_on_the_axis() -> None:
    (low, high) = bars(reliability(np.array([0.95, 0.99, 0.5], np.float32), np.array([True, False, True])))
    assert (low.y, low.height) == (0, SIDE)
    assert (high.y + high.height, high.height, high.weight) == (SIDE, SIDE / 2, 1)
    assert "2 samples, 50.0% right" in high.told


def test_cells_hold_shares_of_their_row_and_readable_text() -> None:
    cells = shades([[3, 1], [0, 0]])
    assert [[cell["share"] for cell in row] for row in cells] == [[0.75, 0.25], [None, None]]
    for share in np.linspace(0, 1, 101):
        ground = ground_of(share)
        text = {"#000": (0, 0, 0), "#fff": (255, 255, 255)}[text_on(ground)]
        assert contrast(text, ground) >= 4.5, share  # WCAG 2, AA
    assert contrast((0, 0, 0), (255, 255, 255)) == 21
