"""Ids that a spreadsheet changed when it saved a table: ``00123`` became ``123``, ``123456`` became ``1.23E+05``.

A name of a table that is not there is compared with the names that are, as a spreadsheet would write those: without
leading zeros, as a decimal number, rounded to three or fifteen digits, trimmed, in other case.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_EXPONENT = re.compile(r"[+-]?(\d(?:\.\d*)?)[eE][+-]?\d+")
_DIGITS = 15  # that a spreadsheet keeps of a whole number
_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class SameIds:
    """Ids of a table, matched with the ids that are there."""

    matched: dict[str, str]
    """Id as written -> id that is there, for those that differ."""
    lost: list[str] = field(default_factory=list)
    """Ids that nothing matches, in their order."""

    def note(self) -> str | None:
        """Return a sentence on the ids that were matched although they differ; None without any."""
        if not self.matched:
            return None
        pairs = [f"{written} is {there}" for written, there in self.matched.items()]
        some = ", ".join(pairs[:_SHOWN]) + ", ..." * (len(pairs) > _SHOWN)
        return f"{counted(len(pairs), 'id')} changed by a spreadsheet, read as before the change: {some}"


def same_ids(written: Iterable[str], there: Collection[str], *, where: str) -> SameIds:
    """Match the ids of a table with those that are there: exactly, else as a spreadsheet would have changed them.

    Args:
        written: Ids of the table.
        there: Ids of the slides, bags or files.
        where: The table, for the error.

    Raises:
        PathPluginsError: an id may be several of those that are there, or several may be one; all in one report.
    """
    written, known = [*dict.fromkeys(written)], {*there}
    unknown = [name for name in written if name not in known]
    if not unknown:
        return SameIds(matched={})
    spellings = Spellings(sorted(known.difference(written)))
    found = {name: spellings.of(name) for name in unknown}
    several = [f"{name} may be {' or '.join(names[:3])}" for name, names in found.items() if len(names) > 1]
    sources: dict[str, list[str]] = defaultdict(list)
    for name, names in found.items():
        if len(names) == 1:
            sources[names[0]].append(name)
    several += [f"{' and '.join(names)} may each be {name}" for name, names in sources.items() if len(names) > 1]
    if several:
        raise PathPluginsError(
            f"{where}: a spreadsheet changed its ids, and {len(several)} of them are no longer clear: "
            f"{'; '.join(several[:_SHOWN])}{'; ...' * (len(several) > _SHOWN)}: correct them, with the column as text"
        )
    matched = {name: names[0] for name, names in found.items() if names}
    return SameIds(matched=matched, lost=[name for name in unknown if name not in matched])


class Spellings:
    """Names by what a spreadsheet may have made of them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_key: dict[str, list[str]] = defaultdict(list)
        self._numbers: list[tuple[Decimal, str]] = []
        for name in names:
            self._by_key[_key(name)].append(name)
            if (number := _number(name)) is not None:
                self._numbers.append((number, name))

    def of(self, written: str) -> list[str]:
        """Return the names that may have become ``written``."""
        if same := self._by_key.get(_key(written)):
            return same
        digits = _digits_kept(written)
        if digits is None:
            return []
        number = _number(written)
        return [name for held, name in self._numbers if _rounded(held, digits) == number]


def probable_cause(lost: Sequence[str], there: Collection[str]) -> str:
    """Return what to add to an error about ids that are not there: a spreadsheet may have changed them; or nothing."""
    spellings = Spellings(there)
    near = {name: names for name in lost if (names := spellings.of(name)) and name not in names}
    if not near:
        return ""
    name, names = next(iter(near.items()))
    return (
        f"; {len(near)} of them look as a spreadsheet leaves ids ({name} for {' or '.join(names[:3])}): write them as "
        "they are, with the column as text"
    )


def _key(name: str) -> str:
    number = _number(name)
    if number is not None:
        return str(number.normalize())
    return " ".join(name.split()).casefold()


def _number(name: str) -> Decimal | None:
    text = name.strip()
    return Decimal(text) if _NUMBER.fullmatch(text) and len(text) < 100 else None


def _digits_kept(written: str) -> int | None:
    """Return how many digits of a number were kept where it was rounded; None where it was not."""
    text = written.strip()
    if exponent := _EXPONENT.fullmatch(text):
        return len(exponent[1].replace(".", ""))
    return _DIGITS if text.isdecimal() and len(text) > _DIGITS and text.endswith("0" * (len(text) - _DIGITS)) else None


def _rounded(number: Decimal, digits: int) -> Decimal:
    """Return a number rounded to this many digits; beyond 15 a spreadsheet cuts, which ends in zeros alike."""
    if not number:
        return number
    step = Decimal(1).scaleb(number.adjusted() - digits + 1)
    if digits == _DIGITS:
        return number // step * step
    return (number / step).quantize(Decimal(1), rounding="ROUND_HALF_UP") * step
