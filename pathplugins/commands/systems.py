"""``pathplugins systems``: the published systems that train here, with their papers, weights, licences and files."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass

from pathplugins.core.markdown import markdown_table
from pathplugins.published.systems import SYSTEMS, Link, System


@dataclass(frozen=True, kw_only=True)
class SystemsOptions:
    """How the systems are printed."""

    markdown: bool = False
    json: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print a table in Markdown, for documents")
    form.add_argument("--json", action="store_true", help="print all that is known of each, for programs")


def run(args: argparse.Namespace) -> int:
    """Print the systems; returns the exit code."""
    options = SystemsOptions(markdown=args.markdown, json=args.json)
    if options.json:
        sys.stdout.write(json.dumps([asdict(system) for system in SYSTEMS], indent=2) + "\n")
    elif options.markdown:
        sys.stdout.write(markdown_table(overview()))
    else:
        sys.stdout.write("\n\n".join(map(described, SYSTEMS)) + "\n")
    return 0


def overview() -> list[tuple[str, ...]]:
    """Return one row of Markdown cells per system, the heading first."""
    heading = ("system", "reads", "parts", "weights", "licence", "LLaMA-Factory", "XTuner", "compared", "not compared")
    rows = [
        (
            f"**{system.name}** ({_link(system.paper)}; {_link(system.code)})",
            system.reads,
            f"{system.tower} → {system.connector} → {system.language_model}",
            "; ".join(map(_link, system.weights)),
            system.licence.shown,
            ", ".join(f"`{name}`" for name in system.llamafactory),
            ", ".join(f"`{name}`" for name in system.xtuner),
            system.compared,
            system.not_compared,
        )
        for system in SYSTEMS
    ]
    return [heading, *rows]


def described(system: System) -> str:
    """Return one system in lines of text."""
    lines = {
        "paper": f"{system.paper.name} {system.paper.url}",
        "code": system.code.url,
        "reads": system.reads,
        "parts": f"{system.tower} -> {system.connector} -> {system.language_model}".replace("`", ""),
        "weights": ", ".join(f"{link.name} {link.url}" for link in system.weights),
        "licence": system.licence.explained(),
        "LLaMA-Factory": ", ".join(system.llamafactory),
        "XTuner": ", ".join(system.xtuner),
        "compared": system.compared,
        "not compared": system.not_compared,
    }
    return "\n".join([system.name, *(f"  {name + ':':<15} {text}" for name, text in lines.items())])


def _link(link: Link) -> str:
    return f"[{link.name}]({link.url})"
