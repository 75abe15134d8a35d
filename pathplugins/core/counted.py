"""Count things in messages: ``1 slide``, ``2 slides``, ``3 patches``."""

from __future__ import annotations

_ES = ("s", "x", "ch", "sh")  #: endings that take ``es``


def counted(number: int, noun: str) -> str:
    """Return the number and the noun, in the plural unless the number is 1; the noun forms it with s or es."""
    ending = "" if number == 1 else "es" if noun.endswith(_ES) else "s"
    return f"{number} {noun}{ending}"
