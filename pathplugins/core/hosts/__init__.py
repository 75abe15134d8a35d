"""The symbols of each trainer that we lean on, by the trainer's name."""

from __future__ import annotations

from pathplugins.core.hosts.llamafactory import LLAMAFACTORY, REGISTERED
from pathplugins.core.hosts.xtuner import XTUNER
from pathplugins.core.touch_points import TouchPoint

__all__ = ["LLAMAFACTORY", "REGISTERED", "TRAINERS", "XTUNER"]

TRAINERS: dict[str, tuple[TouchPoint, ...]] = {"llamafactory": LLAMAFACTORY, "xtuner": XTUNER}
"""By the name of the package."""
