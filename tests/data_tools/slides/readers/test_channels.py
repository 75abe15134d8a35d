"""Channels: names decide which are colours, bare glass where there are none, and fluorescence is named and refused."""

import numpy as np
import pytest

from pathplugins.data_tools.slides.errors import SlideError
from pathplugins.data_tools.slides.readers.channels import colour_order

DARK = np.full((30, 50, 3), (20, 90, 40), np.uint8)


def glass() -> np.ndarray:
    pixels = DARK.copy()
    pixels[:3] = 240
    return pixels


@pytest.mark.parametrize(
    ("names", "order"),
    [(("Red", "Green", "Blue"), (0, 1, 2)), (("blue", "green ", "RED"), (2, 1, 0)), (("G", "R", "B"), (1, 0, 2))],
)
def test_names_tell_the_colours(names: tuple[str, ...], order: tuple[int, ...]) -> None:
    assert colour_order("s", names, lambda: DARK) == order


@pytest.mark.parametrize("names", [("", "", ""), ("Channel 0", "Channel:0:1", "channel_2"), ("0", "1", "2")])
def test_without_names_bare_glass_tells(names: tuple[str, ...]) -> None:
    assert colour_order("s", names, glass) == (0, 1, 2)
    with pytest.raises(SlideError, match="no bare glass"):
        colour_order("s", names, lambda: DARK)


@pytest.mark.parametrize("names", [("DAPI", "FITC", "Cy5"), ("", ""), ("Red", "Green", "Blue", "Alpha"), ("DAPI",) * 9])
def test_fluorescence_is_refused_by_its_channels(names: tuple[str, ...]) -> None:
    with pytest.raises(SlideError, match=rf"{len(names)} grey channels \({names[0] or 'unnamed'}, .*fluorescence"):
        colour_order("s", names, glass)
