"""Write the generated parts of README.md and docs/*.md: a command's output, or a table of rows in the code.

<!-- begin: pathplugins configs list -->
<!-- end -->
<!-- begin: table systems -->
<!-- end -->

Run: python docs/generate.py [--check]
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pathplugins.core.markdown import markdown_table

ROOT = Path(__file__).resolve().parent.parent
MODULES = {"pathplugins": "pathplugins.cli", "pathdata": "pathplugins.data_tools"}
BLOCK = re.compile(r"(<!-- begin: (?P<command>.+?) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)


def output_of(command: str) -> str:
    """Return what a command of ours prints, as a code block, or as it is when asked for ``--markdown``; or a table."""
    program, *words = shlex.split(command)
    if program == "table" and words in [[name] for name in TABLES]:
        return TABLES[words[0]]()
    if program not in MODULES:
        known = ", ".join((*MODULES, *(f"table {name}" for name in TABLES)))
        raise ValueError(f"marker `begin: {command}` names {program!r}; it must start with one of {known}")
    argv = [sys.executable, "-m", MODULES[program], *words]
    text = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout.rstrip("\n")
    if not text:
        raise ValueError(f"marker `begin: {command}`: the command printed nothing")
    return f"{text}\n" if "--markdown" in words else f"```text\n{text}\n```\n"


def systems() -> str:
    """Return the table of the systems, a row each, of `pathplugins.published.systems`."""
    from pathplugins.published.systems import SYSTEMS

    head = ["system", "reads", "vision tower → connector → language model", "published weights", "configurations"]
    rows = (
        [
            f"**{row.name}**: {link(row.paper)}; {link(row.code)}",
            row.reads,
            f"{row.tower} → {row.connector} → {row.language_model}",
            "<br>".join([*map(link, row.weights), row.licence.shown]),
            "<br>".join(
                text
                for text in (files("llamafactory_configs", row.llamafactory), files("xtuner_configs", row.xtuner))
                if text
            ),
        ]
        for row in SYSTEMS
    )
    return markdown_table([head, *rows])


def compared() -> str:
    """Return the table of what the tests compare of each system, and what nobody here could check."""
    from pathplugins.published.systems import SYSTEMS

    head = ["system", "compared with the published code or formulas by tests", "not checked"]
    return markdown_table([head, *([f"**{row.name}**", row.compared, row.not_compared] for row in SYSTEMS)])


def presets() -> str:
    """Return the table of how published systems cut their patches."""
    from pathplugins.data_tools.tiling.presets import PRESETS

    rows = ([f"`{name}`", f"{row.patch_size} px", f"{row.mpp:g} um/px", row.note] for name, row in PRESETS.items())
    return markdown_table([["`--preset`", "patch", "resolution", ""], *rows])


def stages() -> str:
    """Return the table of our keys in the stages of LLaMA-Factory."""
    from pathplugins.llamafactory.stage_table import stages_table

    return stages_table()


TABLES = {"systems": systems, "compared": compared, "presets": presets, "stages": stages}


def link(target: Any) -> str:
    """Return a link to what has a name and a url."""
    return f"[{target.name}]({target.url})"


def files(folder: str, names: Iterable[str]) -> str:
    """Return links to configurations, as they are read on the page at the top of the repository."""
    return ", ".join(f"[{name}]({folder}/{name})" for name in names)


def renewed(text: str) -> str:
    """Return a page with every block run again."""
    return BLOCK.sub(lambda match: f"{match[1]}{output_of(match['command'])}{match[4]}", text)


def main() -> int:
    """Rewrite the pages; with ``--check`` only name the ones that are out of date, and return 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail when a page is out of date")
    check = parser.parse_args().check
    old = []
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]):
        text = page.read_text(encoding="utf-8")
        new = renewed(text)
        if new != text:
            old.append(str(page.relative_to(ROOT)))
            if not check:
                page.write_text(new, encoding="utf-8")
    if old:
        sys.stdout.write(f"{'out of date, run `make docs`' if check else 'rewritten'}: {', '.join(old)}\n")
    return int(check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
