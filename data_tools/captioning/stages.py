"""Stages: the prompts sent to the model one after another, from files with ``{slots}`` for a patch's columns.

A line that starts with ``? `` is kept, without that mark, only where all its slots are filled: one prompt serves
patches with and without a caption. Braces around anything but a name (JSON in a prompt) are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown

DESCRIPTION = "description"  #: slot for the answer of the stage before; in the first stage, for the row's caption
SLOTS = (DESCRIPTION, "caption", "organ", "project", "wsi_id", "mpp")
"""Slots that are always available, like each column of the manifest."""
BUILT_IN = ("describe", "describe_published", "revise", "summarise")
TEXT_ONLY = ("summarise",)  #: the built-in stages that get no image

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
    """Whether the model gets the image as well as the text."""

    def slots(self) -> list[str]:
        """Return all slots, in the order of the template."""
        return [*dict.fromkeys(_SLOT.findall(self.template))]

    def needs(self) -> list[str]:
        """Return the slots that must be filled."""
        lines = [line for line in self.template.splitlines() if not line.startswith(_OPTIONAL)]
        return [*dict.fromkeys(_SLOT.findall("\n".join(lines)))]

    def prompt(self, values: Mapping[str, str]) -> str:
        """Fill the template.

        Args:
            values: slot -> text; an absent or empty slot removes the optional lines that use it.
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
    """Read the stages that an option names.

    Args:
        words: built-in names, or ``NAME=FILE`` for prompts of your own.
        text_only: names of the stages that get no image.

    Raises:
        PathPluginsError: a prompt is unknown, empty or unreadable, a name is repeated, or ``text_only`` names no
            stage.
    """
    stages = tuple(_read(word.strip(), text_only) for word in words)
    names = [stage.name for stage in stages]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PathPluginsError(f"stage {twice[0]} is named twice; give the second another name: NAME=FILE")
    if lost := sorted({*text_only} - {*names, *TEXT_ONLY, ""}):
        raise PathPluginsError(unknown("stage in --text-only", lost[0], names))
    return stages


def check_slots(stages: Sequence[Stage], columns: Collection[str]) -> None:
    """Raise ``PathPluginsError`` for slots that are neither in ``SLOTS`` nor a column of the manifest."""
    known = dict.fromkeys([*SLOTS, *columns])
    wrong = [(stage.name, slot) for stage in stages for slot in stage.slots() if slot not in known]
    if wrong:
        found = ", ".join(f"{{{slot}}} in {name}" for name, slot in wrong)
        raise PathPluginsError(
            f"unknown slot {found}; the manifest gives {', '.join(f'{{{slot}}}' for slot in known)}; correct the prompt"
        )


def _read(word: str, text_only: Collection[str]) -> Stage:
    name, given, file = word.partition("=")
    if not given and name not in BUILT_IN:
        raise PathPluginsError(f"{unknown('prompt', name, BUILT_IN)}; or NAME=FILE for a prompt of your own")
    if not _NAME.fullmatch(name):
        raise PathPluginsError(
            f"stage {name!r} is no usable name; choose one of 1 to 30 letters, digits, - and _, a letter first"
        )
    place = Path(file) if given else _PROMPTS / f"{name}.txt"
    try:
        template = place.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PathPluginsError(
            f"the prompt of stage {name} cannot be read ({error}); correct the path in {name}=FILE"
        ) from error
    if not template:
        raise PathPluginsError(f"{place} is empty; write the prompt of stage {name} into it")
    return Stage(name=name, template=template, image=name not in text_only)
