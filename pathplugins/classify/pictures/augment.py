"""Augmentation settings, and the published ones as presets."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args

from pathplugins.core.errors import PathPluginsError

Crop = Literal["centre", "resized", "window"]


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What is drawn at random for each picture; the default draws nothing."""

    crop: Crop = "centre"
    """``centre``: the middle; ``resized``: a box of random area, shape and place; ``window``: unscaled, anywhere."""
    crop_area: tuple[float, float] = (0.8, 1.0)
    """Share of the picture that a ``resized`` crop covers, from and to."""
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Width over height of a ``resized`` crop, from and to."""
    jitter: float = 0.0
    """Chance that colours change."""
    brightness: float = 0.0
    """Greatest change of the factor 1, in [0, 1]; contrast and saturation likewise."""
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    """Greatest turn of the hue as a share of the circle, in [0, 1/6]."""
    grey: float = 0.0
    """Chance that colours go."""
    blur: float = 0.0
    """Chance of a Gaussian blur."""
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    """Its standard deviation in pixels of the output, from and to."""
    flip_x: float = 0.0
    """Chance that left and right change places."""
    flip_y: float = 0.0
    """Chance that top and bottom change places."""

    def __post_init__(self) -> None:
        if self.crop not in get_args(Crop):
            raise PathPluginsError(f"crop must be one of {', '.join(get_args(Crop))}, got {self.crop!r}")
        most = dict.fromkeys(
            ("jitter", "brightness", "contrast", "saturation", "grey", "blur", "flip_x", "flip_y"), 1.0
        )
        for name, limit in {**most, "hue": 1 / 6}.items():
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value <= limit):
                raise PathPluginsError(f"{name} must be in [0, {limit:.4g}], got {value}; correct it")
        for name, limit in {"crop_area": 1.0, "crop_ratio": math.inf, "blur_sigma": math.inf}.items():
            value = getattr(self, name)
            if not (isinstance(value, tuple) and len(value) == 2 and 0 < value[0] <= value[1] <= limit):
                below = f" <= {limit:g}" if limit < math.inf else ""
                raise PathPluginsError(f"{name} must be (from, to), 0 < from <= to{below}, got {value}; correct it")

    @classmethod
    def from_options(cls, options: dict[str, object]) -> Augment:
        """Return the settings of a recipe; what it does not name stays as it is by default.

        Raises:
            PathPluginsError: an unknown name, or a value that cannot be used.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(options.keys() - known):
            raise PathPluginsError(f"augment: unknown {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in options.items()})  # type: ignore[arg-type]


_PUBLISHED = {
    **{"jitter": 0.8, "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    **{"blur": 0.5, "flip_x": 0.5, "flip_y": 0.5},
}
"""What the published training does to every picture (github.com/enigmanx20/PatchTCGA, aug_utils.py)."""

EVAL = Augment()
"""Validation and test: the middle alone. 287 of 512 px at 0.39 um/px, scaled to 224, is 0.5 um/px."""
SUPERVISED = Augment(crop="resized", **_PUBLISHED)
SELF_SUPERVISED = Augment(crop="resized", grey=0.2, **_PUBLISHED)
SEGMENT = Augment(crop="window", **_PUBLISHED)
"""With masks: published windows are not scaled, so that every pixel keeps its label."""
