"""Tables of the published CLIP checkpoints: as text, as Markdown and as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pathplugins.published.pathgen_clip import CHECKPOINTS


def clip_overview() -> list[tuple[str, ...]]:
    """Return one row of Markdown cells per checkpoint, the heading first."""
    heading = ("name", "file", "architecture", "activation", "who says so", "licence", "access", "note")
    rows = [
        (
            f"`{row.name}`",
            f"[{row.files[0]}]({row.source})",
            row.architecture,
            f"`{row.activation}`" if row.activation else "open: pass `--activation`",
            row.activation_told(),
            row.licence.explained(),
            "gated" if row.gated else "open",
            row.note,
        )
        for row in CHECKPOINTS
    ]
    return [heading, *rows]


def clip_lines() -> list[str]:
    """Return one paragraph of text per checkpoint."""
    return [
        "\n".join(
            (
                f"{row.name} ({row.architecture})",
                f"  files:      {', '.join(row.files)}",
                f"  activation: {row.activation or 'open, pass --activation'} ({row.activation_told()})",
                f"  licence:    {row.licence.explained()}",
                f"  source:     {row.source}{' (gated)' if row.gated else ''}",
                f"  note:       {row.note}",
            )
        )
        for row in CHECKPOINTS
    ]


def clip_records() -> list[dict[str, Any]]:
    """Return all that is known of the checkpoints, as plain values."""
    return [{**asdict(row), "source": row.source} for row in CHECKPOINTS]
