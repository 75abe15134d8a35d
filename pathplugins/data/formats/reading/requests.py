"""Request lists: one's own sentences that ask for a caption, in place of the built-in ones."""

from __future__ import annotations

from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json
from pathplugins.core.nearest import near_path
from pathplugins.data.records import IMAGE_PLACEHOLDER, first_shown

MAX_CHARACTERS = 2000
"""Of a request; longer texts are no sentences that ask for a caption."""


def read_requests(path: str | Path) -> tuple[str, ...]:
    """Read a list of requests: a text file with one a line, blank lines aside, or a JSON list of texts.

    Raises:
        PathPluginsError: no such file, or lines that cannot be requests, all of them in one report.
    """
    path = Path(path)
    numbered = _texts(path)
    bad, seen = list[str](), dict[str, int]()
    for number, text in numbered:
        if fault := _fault(text, seen.get(text.strip() if isinstance(text, str) else "")):
            bad.append(f"{number}: {fault}")
        elif isinstance(text, str):
            seen[text.strip()] = number
    if bad or not seen:
        what = "\n".join((f"{len(bad)} of its {len(numbered)} requests cannot be used:", first_shown(bad)))
        raise PathPluginsError(
            f"{path}: {what if bad else 'holds no request'}; write one request a line, such as: Describe this patch."
        )
    return tuple(seen)


def _texts(path: Path) -> list[tuple[int, object]]:
    """Return the requests as written, each with its line or place, from 1."""
    try:
        content = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() != ".json":
            return [(number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip()]
        values = parse_json(content)
    except FileNotFoundError as error:
        raise PathPluginsError(f"{path}: no such file; give a list of requests{near_path(path)}") from error
    except (OSError, ValueError) as error:  # no UTF-8 and no JSON are ValueErrors
        raise PathPluginsError(f"{path}: not a readable list of requests ({error}); save it as UTF-8") from error
    if not isinstance(values, list):
        raise PathPluginsError(f"{path}: a JSON {type(values).__name__}; wanted a list of texts")
    return [*enumerate(values, 1)]


def _fault(text: object, earlier: int | None) -> str | None:
    """Return why a text is no request; None if it is one."""
    if not isinstance(text, str) or not text.strip():
        return f"{text!r} is no text"
    if IMAGE_PLACEHOLDER in text:
        return f"has {IMAGE_PLACEHOLDER}, which is added: take it out"
    if len(text) > MAX_CHARACTERS:
        return f"has {len(text)} characters, at most {MAX_CHARACTERS}"
    if any(not letter.isprintable() and letter not in "\n\t" for letter in text):
        return f"{text[:40]!r} has characters that cannot be printed"
    return None if earlier is None else f"the same as {earlier}"
