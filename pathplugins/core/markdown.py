"""Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells as a Markdown table, the first row as its heading, ending with a line break.

    Raises:
        ValueError: no rows, or rows of several lengths.
    """
    heading, *body = rows
    if any(len(row) != len(heading) for row in body):
        raise ValueError(f"a table needs rows of one length, got {sorted({len(row) for row in (heading, *body)})}")
    lines = [_line(heading), "|" + "---|" * len(heading), *map(_line, body)]
    return "\n".join(lines) + "\n"


def _line(row: Sequence[str]) -> str:
    cells = (" ".join(cell.split()).replace("|", r"\|") for cell in row)
    return f"| {' | '.join(cells)} |"
