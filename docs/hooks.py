"""What MkDocs calls: pages from outside docs/ join the site, and links between the two are made to fit it."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {"README.md": "about.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Page of the repository -> what the site calls it."""
LINK = re.compile(r"(?P<text>\[[^\]]*\])\((?P<target>[^)\s]+)\)")
SOURCE = re.compile(r'(src|href)="docs/')


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie beside docs/."""
    from mkdocs.structure.files import File

    for name, page in OUTSIDE.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=for_the_site(text, PurePosixPath())))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make the links of a page under docs/ fit."""
    outside = page.file.src_uri in OUTSIDE.values()
    return markdown if outside else for_the_site(markdown, PurePosixPath("docs"))


def for_the_site(text: str, folder: PurePosixPath) -> str:
    """Return a page of ``folder`` with links that fit the site; a link to a file outside it becomes its text."""

    def renewed(match: re.Match[str]) -> str:
        target, anchor, where = match["target"].partition("#")
        if not target or re.match(r"\w+:", target):
            return match[0]
        path = _normal(folder / target)
        if path in OUTSIDE:
            return f"{match['text']}({OUTSIDE[path]}{anchor}{where})"
        if path.startswith("docs/"):
            return f"{match['text']}({path.removeprefix('docs/')}{anchor}{where})"
        return match["text"][1:-1]

    return LINK.sub(renewed, SOURCE.sub(r'\1="', text))


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
