"""Areas: what share of a slide is tissue and what was left out, in words, and whether that is to be questioned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

MANY = 0.5  #: a larger share of one kind is questioned
ALL = 0.995
SOME_INK = 0.05  #: less ink than this is not compared with the tissue
NO_INK = "black"  #: what was not scanned may be as large as it likes


@dataclass(frozen=True, kw_only=True)
class Areas:
    """Shares of the area of a slide, 0 to 1."""

    tissue: float
    left_out: Mapping[str, float] = field(default_factory=dict)
    """Ink, black, and the artefacts that a model found, by name; empty for masks that the user drew."""

    @classmethod
    def from_json(cls, text: str) -> Areas:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return the shares as an object."""
        return json.dumps(asdict(self))

    def in_words(self) -> str:
        """Return all shares in a few words."""
        others = (f", {_percent(share)} {name}" for name, share in self.left_out.items())
        return f"{_percent(self.tissue)} of the area is tissue{''.join(others)}"

    def question(self) -> str:
        """Return what the user should look at; empty for usual shares."""
        for name, share in {"tissue": self.tissue, **self.left_out}.items():
            if share > MANY and name != NO_INK:
                how_much = "all" if share >= ALL else "over half"
                return f"question: {how_much} of the slide is called {name}; look at its overlay"
        ink = self.left_out.get("ink", 0.0)
        if ink > max(self.tissue, SOME_INK):
            return "question: more of the slide is called ink than tissue; if it is stain, pass --stain or --keep-pen"
        return ""


def no_tissue_advice(areas: Areas, mask: Path | None) -> str:
    """Return what to do about a slide without tissue, in a sentence; ``mask`` is the one that the user drew."""
    ink = areas.left_out.get("ink", 0.0) + areas.left_out.get("black", 0.0)
    if ink > SOME_INK:
        return "if what was taken for ink is stain, pass --stain NAME or --keep-pen; else leave the slide out"
    look_at = "the slide" if mask is None else f"the mask {mask}"
    return f"look at {look_at}, then lower --min-tissue or leave the slide out"


def mean_areas(found: Sequence[Areas]) -> Areas:
    """Return the mean shares of some slides, at least one; what a slide does not name, it has none of."""
    names = dict.fromkeys(name for areas in found for name in areas.left_out)
    left_out = {name: sum(areas.left_out.get(name, 0.0) for areas in found) / len(found) for name in names}
    return Areas(tissue=sum(areas.tissue for areas in found) / len(found), left_out=left_out)


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"
