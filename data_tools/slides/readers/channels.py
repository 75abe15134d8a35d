"""Tell channels that are red, green and blue from channels of fluorescence."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from ..errors import SlideError

COLOUR_NAMES = (("red", "r"), ("green", "g"), ("blue", "b"))
UNNAMED = re.compile(r"|channel[ _:-]*[\d:]*|c?\d+", re.IGNORECASE)  #: names that writers give where none is known
GLASS = 200  #: bare glass is at least so bright in all three colours; the background of fluorescence is dark
CHANNELS_NOTE = "{} stores three grey channels; they are read as its red, green and blue"
LEAST_GLASS = 0.02  #: fraction of a slide's pixels


def colour_order(source: str, names: Sequence[str], overview: Callable[[], np.ndarray]) -> tuple[int, int, int]:
    """Return which channels are red, green and blue.

    Names decide. Where a file gives none, three channels are colours if they show bare glass.

    Args:
        source: The file, for messages.
        names: The name of every channel, empty where the file gives none.
        overview: Reads the smallest level in the order of the channels: uint8 ``[H, W, 3]``.

    Raises:
        SlideError: they are no colours.
    """
    if len(names) == 3:
        plain = [name.strip().casefold() for name in names]
        found = [next((i for i, name in enumerate(plain) if name in known), None) for known in COLOUR_NAMES]
        if None not in found:
            red, green, blue = (int(i) for i in found if i is not None)
            return red, green, blue
        if all(UNNAMED.fullmatch(name) for name in plain):
            if (overview().min(axis=2) >= GLASS).mean() >= LEAST_GLASS:
                return 0, 1, 2
            raise SlideError(
                f"{source}: holds three grey channels without names, and no bare glass that would tell that they are "
                "red, green and blue; name them so, or save it as RGB (raw2ometiff --rgb)"
            )
    shown = ", ".join(name or "unnamed" for name in names[:6]) + (", ..." if len(names) > 6 else "")
    raise SlideError(
        f"{source}: holds {len(names)} grey channels ({shown}), not colours; fluorescence is not read here: "
        "save a brightfield slide as RGB, and leave others out"
    )
