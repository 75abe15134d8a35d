"""Licences: the statement of each source, and the one that our tables show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One source's word."""

    says: str
    """The licence, or another fact, as the source writes it."""
    by: str
    """The source: an address, or the name of a document."""


@dataclass(frozen=True, kw_only=True)
class Licence:
    """The licence of one artefact."""

    shown: str
    """Licence that tables show: the narrowest of the statements."""
    statements: tuple[Statement, ...] = ()
    """Every source and its word; two that differ are both kept."""

    @property
    def contradicted(self) -> bool:
        """Whether the sources name different licences."""
        return len({statement.says.casefold() for statement in self.statements}) > 1

    def explained(self) -> str:
        """Return all statements in one line, with a warning where they differ."""
        if not self.statements:
            return f"{self.shown} (nobody states it)"
        told = "; ".join(f"{statement.says} ({statement.by})" for statement in self.statements)
        advice = "; the sources differ: keep to the narrower one, or ask the authors"
        return f"{told}{advice if self.contradicted else ''}"


def stated(says: str, by: str) -> Licence:
    """Return the licence that one source states."""
    return Licence(shown=says, statements=(Statement(says=says, by=by),))
