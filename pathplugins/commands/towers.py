"""``pathplugins towers``: the vision towers and the eyes for images: tokens, width, licence, how a YAML names each."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

from pathplugins.core.markdown import markdown_table
from pathplugins.models.towers import TOWERS
from pathplugins.models.towers.eyes import Eye, eyes, find_eye

FOOTER = (
    "An eye in a YAML, or in the `parts` of an XTuner config (pathplugins towers NAME prints it for each):\n"
    "  vision_model_name: timm\n"
    "  vision_tower: FILE of its weights, or the folder of import-weights or of the hub, which names itself\n"
    "  vision_config: {encoder: NAME}\n"
)


@dataclass(frozen=True, kw_only=True)
class TowersOptions:
    """Which rows are printed, and how."""

    name: str | None = None
    """One eye, with its YAML; None: all towers and eyes."""
    markdown: bool = False
    json: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", nargs="?", help="an eye, such as uni2-h: its YAML and all that is known of it")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print a table of the eyes in Markdown, for documents")
    form.add_argument("--json", action="store_true", help="print all that is known of each, for programs")


def run(args: argparse.Namespace) -> int:
    """Print towers and eyes; returns the exit code."""
    options = TowersOptions(name=args.name, markdown=args.markdown, json=args.json)
    chosen = [find_eye(options.name)] if options.name else eyes()
    if options.json:
        records: Any = {"towers": towers(), "eyes": [asdict(eye) for eye in chosen]}
        sys.stdout.write(json.dumps(records["eyes"][0] if options.name else records, indent=2) + "\n")
    elif options.markdown:
        sys.stdout.write(markdown_table(eye_rows(chosen, link=True)))
    elif options.name:
        sys.stdout.write(described(chosen[0]) + "\n")
    else:
        rows = [("tower", "reads", ""), *((tower["name"], tower["reads"], tower["what"]) for tower in towers())]
        sys.stdout.write("\n".join([*aligned(rows), "", *aligned(eye_rows(chosen, link=False))]) + "\n\n" + FOOTER)
    return 0


def towers() -> list[dict[str, str]]:
    """Return name, what is read, and a few words of every tower, those of other packages too."""
    told = {name: TOWERS.get(name) for name in TOWERS}
    return [{"name": name, "reads": tower.reads, "what": tower.what} for name, tower in told.items()]


def eye_rows(chosen: list[Eye], *, link: bool) -> list[tuple[str, ...]]:
    """Return one row of cells per eye, the heading first; ``link``: for Markdown, with what it is and its source."""
    heading = ("eye", "tokens", "width", "image", "licence", "access")
    rows = []
    for eye in chosen:
        cells = (str(eye.tokens), str(eye.width), f"{eye.image_px} px", eye.licence, eye.access)
        rows.append((f"`{eye.name}`", f"[{eye.what}]({eye.source})", *cells) if link else (eye.name, *cells))
    return [(heading[0], "encoder", *heading[1:]) if link else heading, *rows]


def described(eye: Eye) -> str:
    """Return one eye in lines of text, its YAML last."""
    side = round(eye.tokens**0.5)
    lines = {
        "tokens": f"{eye.tokens} ({side} x {side}) of width {eye.width}, class and register tokens left out",
        "image": f"resized whole to {eye.image_px} px, {eye.interpolation}; mean {eye.mean}, std {eye.std}",
        "licence": eye.licence_told,
        "access": eye.access + (f": accept the terms at {eye.source} first" if eye.access == "gated" else ""),
        "weights": eye.fetch or f"from the authors, {eye.source}",
        "checked": eye.checked,
        "note": eye.note,
    }
    told = [f"{eye.name}: {eye.what}", *(f"  {name + ':':<9} {text}" for name, text in lines.items() if text)]
    yaml = [f"  {key}: {_inline(value)}" for key, value in eye.keys.items()]
    if eye.keys["vision_model_name"] == "clip":
        yaml[-1] += "  # or gelu: nobody published which of the two"
    return "\n".join([*told, "In a YAML, or in the parts of an XTuner config:", *yaml])


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Return cells as lines of text in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _inline(value: Any) -> str:
    """Return a value as YAML writes it in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {item}" for key, item in value.items()) + "}"
    return str(value)
