"""Mutations of files: what a broken disk, a cut download, a careless editor or another writer does to them.

Hypothesis draws them, so that a failure shrinks to few small mutations. Positions are drawn as large integers and taken
modulo the length, since the length is known only after the mutations before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

Mutation = Callable[[bytes], bytes]

_PLACES = st.integers(0, 2**31 - 1)
_NUMBERS = (0, 1, 2, 3, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
_WIDTHS = (1, 2, 4, 8)
_LENGTHS = st.integers(1, 64) | st.integers(65, 4096)
_VALUE = re.compile(rb'"(?:[^"\\\n]|\\.)*"|-?\d[\d.eE+-]*|[A-Za-z_][\w./-]*')
_VALUES = (
    *(b"null", b"true", b"NaN", b"-1", b"0", b"1e999", b"-1e-999", b"12345678901234567890", b'""', b"''", b"[]", b"{}"),
    *(b'"\\u0000"', b'"\\ud800"', b"\xff\xfe", b"\x00", b"\xef\xbb\xbf", b"00017", b" x ", b"..", b"/", b"<image>"),
    *(
        b"[" * 3000,
        b'{"a":' * 3000,
        b"x" * 70000,
        b"\n",
        b"\r",
        b"\t",
        b",",
        b";",
        b":",
        b'"',
        b"'",
        b"#",
        b"*a",
        b"&a",
    ),
)


def mutations(*, text: bool, others: Sequence[bytes]) -> st.SearchStrategy[list[Mutation]]:
    """Return what draws one to four mutations of a file.

    Args:
        text: whether values in the file are worth replacing as words.
        others: files of the same kind, to splice in pieces of.
    """
    kinds = [_bits(), _numbers(), _cut(), _removed(), _repeated(), _spliced(others)]
    if text:
        kinds += [_replaced(), _replaced(), _exchanged()]
    return st.lists(st.one_of(kinds), min_size=1, max_size=4)


def mutated(content: bytes, changes: Sequence[Mutation]) -> bytes:
    """Return the content after all changes; an empty one stays empty."""
    for change in changes:
        content = change(content) if content else content
    return content


def _bits() -> st.SearchStrategy[Mutation]:
    """Change one bit."""

    def change(place: int, bit: int) -> Mutation:
        return lambda old: _put(old, place % len(old), bytes([old[place % len(old)] ^ 1 << bit]))

    return st.builds(change, _PLACES, st.integers(0, 7))


def _numbers() -> st.SearchStrategy[Mutation]:
    """Write a number that sits at a border over what was there."""

    def change(place: int, number: int, width: int, order: str) -> Mutation:
        written = (number % 256**width).to_bytes(width, order)
        return lambda old: _put(old, place % len(old), written)

    return st.builds(
        change, _PLACES, st.sampled_from(_NUMBERS), st.sampled_from(_WIDTHS), st.sampled_from(("little", "big"))
    )


def _cut() -> st.SearchStrategy[Mutation]:
    """End the file early."""
    return st.builds(lambda place: lambda old: old[: place % len(old)], _PLACES)


def _removed() -> st.SearchStrategy[Mutation]:
    """Leave out some bytes."""

    def change(place: int, length: int) -> Mutation:
        return lambda old: old[: place % len(old)] + old[place % len(old) + length :]

    return st.builds(change, _PLACES, _LENGTHS)


def _repeated() -> st.SearchStrategy[Mutation]:
    """Write some bytes twice."""

    def change(place: int, length: int) -> Mutation:
        return lambda old: old[: place % len(old) + length] + old[place % len(old) :]

    return st.builds(change, _PLACES, _LENGTHS)


def _spliced(others: Sequence[bytes]) -> st.SearchStrategy[Mutation]:
    """Put a piece of another file in the place of what was there."""

    def change(place: int, other: bytes, start: int, length: int) -> Mutation:
        start %= len(other)
        return lambda old: _put(old, place % len(old), other[start : start + length])

    return st.builds(change, _PLACES, st.sampled_from(others), _PLACES, _LENGTHS)


def _replaced() -> st.SearchStrategy[Mutation]:
    """Make a word, number or string something else."""

    def change(place: int, value: bytes) -> Mutation:
        def replace(old: bytes) -> bytes:
            found = list(_VALUE.finditer(old))
            if not found:
                return old
            chosen = found[place % len(found)]
            return old[: chosen.start()] + value + old[chosen.end() :]

        return replace

    return st.builds(change, _PLACES, st.sampled_from(_VALUES))


def _exchanged() -> st.SearchStrategy[Mutation]:
    """Let two words, numbers or strings change places."""

    def change(one: int, two: int) -> Mutation:
        def exchange(old: bytes) -> bytes:
            found = [m.span() for m in _VALUE.finditer(old)]
            if len(found) < 2:
                return old
            (a, b), (c, d) = sorted((found[one % len(found)], found[two % len(found)]))
            return old if a == c else old[:a] + old[c:d] + old[b:c] + old[a:b] + old[d:]

        return exchange

    return st.builds(change, _PLACES, _PLACES)


def _put(old: bytes, place: int, new: bytes) -> bytes:
    return old[:place] + new + old[place + len(new) :]
