"""Stains: what tells tissue from ink and from glass in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Stain = Literal["auto", "he", "ihc", "trichrome", "gms", "pap", "pas", "reticulin"]
STAIN_NAMES: tuple[Stain, ...] = get_args(Stain)


@dataclass(frozen=True, kw_only=True)
class StainRow:
    """How tissue looks in one stain."""

    own: frozenset[str] | None = frozenset()
    """Colours of ink (names in ``pen.INKS``, or ``black``) that the stain has, too: only what is smooth, as ink is,
    counts as ink there. None decides that for each slide."""
    grey: bool | None = False
    """Whether grey tissue counts, where it is darker than glass and not smooth. None: where a slide has little else."""
    cells: bool = False
    """Whether single cells lie apart: they are kept, and those less than ``CELL_GAP_UM`` apart are joined."""
    note: str = ""
    """For the help."""


CELL_GAP_UM = 96.0
CELL_UM = 12.0  #: specks up to this size are no cells

STAINS: dict[str, StainRow] = {
    "auto": StainRow(own=None, grey=None, note="any stain; what a colour is, its amount and texture decide"),
    "he": StainRow(note="haematoxylin and eosin: green, plain blue, strong red and black are ink wherever they are"),
    "ihc": StainRow(own=frozenset({"red"}), note="DAB, AEC or Fast Red with haematoxylin"),
    "trichrome": StainRow(own=frozenset({"green", "blue", "red"}), note="Masson, Goldner, Mallory, van Gieson"),
    "gms": StainRow(own=frozenset({"green", "black"}), note="methenamine silver with light green"),
    "pap": StainRow(own=frozenset({"green", "blue", "red"}), cells=True, note="Papanicolaou: smears of single cells"),
    "pas": StainRow(own=frozenset({"green", "blue"}), note="PAS, also with Alcian blue or light green"),
    "reticulin": StainRow(own=frozenset({"black"}), grey=True, note="silver: black fibres on grey"),
}


def described() -> str:
    """Return all stains in words, a line each, for the help of a command."""
    return "\n".join(["stains:", *(f"  {name:<10} {row.note}" for name, row in STAINS.items())])
