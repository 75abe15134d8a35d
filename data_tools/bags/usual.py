"""What most slides of a conversion are like, and what is said of those that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags.damage import DAMAGE
from pathplugins.data.bags.encoders import usual_encoder
from pathplugins.data.bags.magnifications import other_magnifications
from pathplugins.published.encoder_names import encoder_key

from . import Opened, Source, open_source


@dataclass(frozen=True, kw_only=True)
class Usual:
    """Width, type, encoder and magnification of most slides, as they record them."""

    width: int | None = None
    dtype: str | None = None
    encoder: str | None = None
    magnifications: Mapping[str, str] = field(default_factory=dict)
    """Source -> clause, for slides of another magnification."""

    def notes_on(self, source: Source, opened: Opened) -> list[str]:
        """Return notes on what differs in a slide.

        Raises:
            PathPluginsError: its features are of another width.
        """
        if self.width not in (None, opened.width):
            raise PathPluginsError(
                f"{source}: features are {opened.width} wide, most here are {self.width}; made with another encoder? "
                "move them to another folder and convert them apart"
            )
        notes = [] if self.dtype in (None, opened.dtype) else [f"{opened.dtype}, most here are {self.dtype}"]
        name = opened.geometry.encoder
        if None not in (name, self.encoder) and encoder_key(name) != encoder_key(self.encoder):
            notes.append(f"features of the encoder {name!r}, most here are of {self.encoder!r}: no model takes both")
        return notes + [self.magnifications[each] for each in (str(source),) if each in self.magnifications]


def usual_of(sources: Sequence[Source]) -> Usual:
    """Look at all slides that can be opened; the others are reported when they are converted."""
    shapes: Counter[tuple[int, str]] = Counter()
    encoders: dict[str, str | None] = {}
    mpps: dict[str, float | None] = {}
    for source in sources:
        try:
            with open_source(source) as opened:
                shapes[opened.width, opened.dtype] += 1
                encoders[str(source)] = opened.geometry.encoder
                mpps[str(source)] = opened.geometry.completed().mpp
        except DAMAGE:
            continue
    if not shapes:
        return Usual()
    (width, dtype), _ = shapes.most_common(1)[0]
    return Usual(width=width, dtype=dtype, encoder=usual_encoder(encoders), magnifications=other_magnifications(mpps))
