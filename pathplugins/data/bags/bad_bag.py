"""The error of a bag that cannot be used."""

from __future__ import annotations

from pathplugins.core.errors import BagError


class BadBag(BagError):
    """A ``BagError`` with the short reason it is counted under in a report."""

    def __init__(self, message: str, *, reason: str = "unusable bag") -> None:
        super().__init__(message)
        self.reason = reason
