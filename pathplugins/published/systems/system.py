"""A published system: paper, code, weights, licence, parts, configurations, and what the tests compare."""

from __future__ import annotations

from dataclasses import dataclass

from pathplugins.published.licence import Licence


@dataclass(frozen=True, kw_only=True)
class Link:
    """A name and an address."""

    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class System:
    """One published system, as its configurations train it."""

    name: str
    paper: Link
    code: Link
    reads: str
    tower: str
    connector: str
    language_model: str
    weights: tuple[Link, ...]
    """Published files that are read here."""
    licence: Licence
    """Licence of the published weights; language models have licences of their own."""
    llamafactory: tuple[str, ...]
    """Configurations in ``llamafactory_configs``, in order."""
    xtuner: tuple[str, ...]
    """Configurations in ``xtuner_configs``, in order."""
    compared: str
    """Parts whose values the tests compare with the published code or formulas, on seeded weights."""
    not_compared: str
    """Facts that nobody here could check."""
