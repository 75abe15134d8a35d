"""Sentences that patches are compared with: prompts by project, reports by slide."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json
from pathplugins.core.optional import need
from pathplugins.core.suffixes import slide_key
from pathplugins.data.records import first_shown

from .projects import PROJECTS, packaged


def builtin_prompts() -> str:
    """Return the built-in prompts, as YAML."""
    return packaged("organs.yaml")


def read_prompts(path: Path | None, own: frozenset[str] = frozenset()) -> dict[str, tuple[str, ...]]:
    """Read the sentences of each project; without a path, the built-in ones.

    Args:
        path: YAML, a list of sentences under each project.
        own: the user's projects outside TCGA.

    Raises:
        PathPluginsError: not YAML, or all its faults in one report.
    """
    name = "prompts/organs.yaml" if path is None else str(path)
    try:
        text = builtin_prompts() if path is None else path.read_text(encoding="utf-8")
        found = _yaml(text)
    except (OSError, UnicodeDecodeError, need("yaml", extra="pathgen").YAMLError) as error:
        raise PathPluginsError(f"--prompts {name}: not readable as YAML ({error}); correct it") from error
    if not isinstance(found, dict) or not found:
        raise PathPluginsError(
            f"--prompts {name}: wanted projects with a list of sentences each, got {type(found).__name__}; "
            "pathdata pathgen select --print-prompts shows the format"
        )
    if wrong := list(_prompt_faults(found, own)):
        raise PathPluginsError(f"--prompts {name}: {len(wrong)} faults to correct:\n{first_shown(wrong)}")
    return {key: tuple(sentence.strip() for sentence in sentences) for key, sentences in found.items()}


def read_reports(path: Path) -> dict[str, tuple[str, ...]]:
    """Read the sentences of each slide's report, by `slide_key`.

    Args:
        path: JSON, the name of a slide or its path -> ``{"refined": {section: sentence}}``, ``{section: sentence}``
            or a list of sentences. An entry without a sentence counts as no report.

    Raises:
        PathPluginsError: not JSON, or entries that cannot be used, all in one report.
    """
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PathPluginsError(f"--reports {path}: not readable as JSON ({error}); correct it") from error
    if not isinstance(found, dict):
        raise PathPluginsError(
            f"--reports {path}: wanted an object, slide name -> report, got {type(found).__name__}; correct the file"
        )
    reports: dict[str, tuple[str, ...]] = {}
    wrong, names = [], dict[str, str]()
    for name, entry in found.items():
        key = slide_key(name.replace("\\", "/").rpartition("/")[2])
        sentences = _sentences(entry.get("refined", entry) if isinstance(entry, dict) else entry)
        if sentences is None:
            wrong.append(f'{name}: wanted {{"refined": {{section: sentence}}}} or a list of sentences')
        elif names.setdefault(key, name) != name:
            wrong.append(f"{name}: names the same slide as {names[key]}; keep one of them")
        elif sentences:
            reports[key] = sentences
    if wrong:
        raise PathPluginsError(
            f"--reports {path}: {len(wrong)} of {len(found)} entries cannot be used; correct them:\n"
            f"{first_shown(wrong)}"
        )
    return reports


def _prompt_faults(found: Mapping[Any, Any], own: frozenset[str]) -> Iterator[str]:
    known = {*PROJECTS, *own}
    for key, sentences in found.items():
        if key not in known:
            near = difflib.get_close_matches(str(key).replace("_", "-").upper(), PROJECTS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{key}: neither a project of TCGA nor named by --project or --projects{hint}"
        if not isinstance(sentences, list) or not sentences:
            yield f"{key}: wanted a list of sentences, got {sentences!r}"
            continue
        empty = [n for n, sentence in enumerate(sentences, 1) if not isinstance(sentence, str) or not sentence.strip()]
        if empty:
            yield f"{key}: sentences {', '.join(map(str, empty))} are empty or not text"
        elif len({sentence.strip() for sentence in sentences}) < len(sentences):
            yield f"{key}: holds a sentence twice"


def _sentences(value: Any) -> tuple[str, ...] | None:
    """Collect all texts in lists and objects, in order, without blank ones; None if any value is not text."""
    if isinstance(value, str):
        return (value.strip(),) if value.strip() else ()
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return None
    nested = [_sentences(item) for item in value]
    return None if None in nested else tuple(sentence for found in nested if found for sentence in found)


def _yaml(text: str) -> Any:
    """Parse YAML without running code; a repeated key is an error, not a silent replacement."""
    yaml = need("yaml", extra="pathgen")

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            if twice := sorted({str(key) for key in keys if keys.count(key) > 1}):
                raise yaml.constructor.ConstructorError(None, None, f"{', '.join(twice)} twice", node.start_mark)
            return super().construct_mapping(node, deep)

    return yaml.load(text, Loader)
