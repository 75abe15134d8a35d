"""Write the generated parts of README.md and docs/*.md anew: what stands between two markers is a command's output.

<!-- begin: pathplugins configs list -->
<!-- end -->

Run: python docs/generate.py [--check]
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = {"pathplugins": "pathplugins.cli", "pathdata": "pathplugins.data_tools"}
BLOCK = re.compile(r"(<!-- begin: (?P<command>.+?) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)


def output_of(command: str) -> str:
    """What a command of ours prints, as a code block, or as it is when asked for ``--markdown``."""
    program, *words = shlex.split(command)
    if program not in MODULES:
        raise ValueError(f"marker `begin: {command}` names {program!r}; it must start with one of {', '.join(MODULES)}")
    argv = [sys.executable, "-m", MODULES[program], *words]
    text = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout.rstrip("\n")
    if not text:
        raise ValueError(f"marker `begin: {command}`: the command printed nothing")
    return f"{text}\n" if "--markdown" in words else f"```text\n{text}\n```\n"


def renewed(text: str) -> str:
    """A page with every block run again."""
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
