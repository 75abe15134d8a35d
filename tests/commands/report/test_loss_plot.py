"""A drawing of losses: inside its frame, in the order of the numbers, and small."""

from __future__ import annotations

import pytest

from pathplugins.commands.report.loss_plot import HEIGHT, POINTS, WIDTH, loss_plot
from pathplugins.commands.report.training import Training


def points(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]


def test_lines_lie_where_their_numbers_are() -> None:
    losses = {"loss": [(0, 4.0), (50, 2.0), (100, 0.0)], "evaluation loss": [(100, 1.0)]}
    plot = loss_plot(Training("run", losses, 0))
    assert points(plot.curves[0].points) == [(0, 0), (WIDTH / 2, HEIGHT / 2), (WIDTH, HEIGHT)]
    assert plot.curves[1].dots == [(WIDTH, HEIGHT * 3 / 4)]
    assert [(tick.text, tick.at) for tick in plot.up] == [
        *(("0", HEIGHT), ("1", HEIGHT * 3 / 4), ("2", HEIGHT / 2), ("3", HEIGHT / 4), ("4", 0)),
    ]
    assert [tick.text for tick in plot.across] == ["0", "20", "40", "60", "80", "100"]
    assert plot.curves[0].told == "4 at step 0, lowest 0 at 100, last 0 at 100"
    assert plot.notes == []


def test_a_long_run_is_thinned_by_means() -> None:
    line = [(step, float(step % 2)) for step in range(1, 10_001)]
    plot = loss_plot(Training("run", {"loss": line}, 3))
    drawn = points(plot.curves[0].points)
    assert len(drawn) == POINTS
    assert len({y for _, y in drawn}) <= 2  # 25 of one kind and 24 of the other, in turns
    assert plot.curves[0].dots == []
    assert plot.notes == [
        "each point of loss is the mean of 25 logged ones",
        "3 logged values are no finite number and not drawn",
    ]


@pytest.mark.parametrize("line", [[(10, 30.15)], [(1, 0.0), (2, 0.0)], [(7, -3.0), (9, 1e6)], [(1, 1e-9), (2, 3e-9)]])
def test_all_of_it_is_in_the_frame(line: list[tuple[int, float]]) -> None:
    plot = loss_plot(Training("run", {"loss": line}, 0))
    for x, y in points(plot.curves[0].points):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
    for ticks in (plot.across, plot.up):
        assert 3 <= len(ticks) <= 7
        assert len({tick.text for tick in ticks}) == len(ticks)
