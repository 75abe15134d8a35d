"""Stages: what is asked of the model in turn, each a prompt in a file with ``{slots}`` for what is known of a patch.

A line that starts with ``? `` is kept, without that mark, only where all its slots have a text: one prompt serves
patches with and without a caption. Braces around anything but a name (JSON in a prompt) are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.errors import PathPluginsError

DESCRIPTION = "description"  #: the slot for what the stage before said; in the first stage, for the caption of the row
SLOTS = (DESCRIPTION, "caption", "organ", "project", "wsi_id", "mpp")  #: always known, and so is each column
BUILT_IN = ("describe", "describe_published", "revise", "summarise")
TEXT_ONLY = ("summarise",)  #: the stages that get no image unless told otherwise

_PROMPTS = Path(__file__).resolve().parent.parent / "prompts"
_SLOT = re.compile(r"\{(\w+)\}")
_NAME = re.compile(r"[A-Za-z][\w-]{0,29}", re.ASCII)  # custom_id of a batch holds it, and may have 64 characters
_OPTIONAL = "? "


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One question about every patch."""

    name: str
    template: str
    image: bool
    """Whether the model gets the image, or the text alone."""

    def slots(self) -> list[str]:
        """All slots, in the order of the text."""
        return [*dict.fromkeys(_SLOT.findall(self.template))]

    def needs(self) -> list[str]:
        """The slots that must have a text."""
        lines = [line for line in self.template.splitlines() if not line.startswith(_OPTIONAL)]
        return [*dict.fromkeys(_SLOT.findall("\n".join(lines)))]

    def prompt(self, values: Mapping[str, str]) -> str:
        """The text to send.

        Args:
            values: slot -> text; one that is absent or empty has none.
        """
        lines = []
        for line in self.template.splitlines():
            if line.startswith(_OPTIONAL):
                if not all(values.get(slot) for slot in _SLOT.findall(line)):
                    continue
                line = line.removeprefix(_OPTIONAL)
            lines.append(_SLOT.sub(lambda slot: values.get(slot[1], ""), line))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()  # a line left out leaves its blank lines behind


def read_stages(words: Sequence[str], text_only: Collection[str] = TEXT_ONLY) -> tuple[Stage, ...]:
    """The stages that an option names.

    Args:
        words: built-in names, or ``NAME=FILE`` for prompts of one's own.
        text_only: names of those that get no image.

    Raises:
        PathPluginsError: no such prompt, an empty one, a name twice, or none of this name to be ``text_only``.
    """
    stages = tuple(_read(word.strip(), text_only) for word in words)
    names = [stage.name for stage in stages]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PathPluginsError(f"stage {twice[0]} is there twice; give the second another name: NAME=FILE")
    if lost := sorted({*text_only} - {*names, *TEXT_ONLY, ""}):
        raise PathPluginsError(f"--text-only {lost[0]} is none of the stages {', '.join(names)}")
    return stages


def check_slots(stages: Sequence[Stage], columns: Collection[str]) -> None:
    """Refuse slots that neither the program nor the manifest, with these columns, knows."""
    known = dict.fromkeys([*SLOTS, *columns])
    wrong = [(stage.name, slot) for stage in stages for slot in stage.slots() if slot not in known]
    if wrong:
        found = ", ".join(f"{{{slot}}} in {name}" for name, slot in wrong)
        raise PathPluginsError(f"unknown slot {found}; the manifest gives {', '.join(f'{{{slot}}}' for slot in known)}")


def _read(word: str, text_only: Collection[str]) -> Stage:
    name, given, file = word.partition("=")
    if not given and name not in BUILT_IN:
        raise PathPluginsError(f"no prompt {name!r}; there are {', '.join(BUILT_IN)}, or NAME=FILE for one of your own")
    if not _NAME.fullmatch(name):
        raise PathPluginsError(f"stage {name!r}: a name has 1 to 30 letters, digits, - and _, a letter first")
    place = Path(file) if given else _PROMPTS / f"{name}.txt"
    try:
        template = place.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PathPluginsError(f"the prompt of stage {name} cannot be read: {error}") from error
    if not template:
        raise PathPluginsError(f"{place}: empty; expected the prompt of stage {name}")
    return Stage(name=name, template=template, image=name not in text_only)
