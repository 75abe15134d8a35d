"""Prompt templates that XTuner does not have: LLaVA v1.5, and the formats of `pathplugins.data.turn_formats`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pathplugins.data.llava_format import Version
from pathplugins.data.turn_formats import FORMATS
from pathplugins.data.turn_formats.turn_format import TurnFormat

PATHGEN_PLAIN = {"LLAVA": "plain", "INSTRUCTION": "{input}", "SUFFIX": "\n"}
"""Captions: for ``prompt_template=PATHGEN_PLAIN``."""
PATHGEN_V1 = {"LLAVA": "v1", "SYSTEM": "{system} ", "INSTRUCTION": "USER: {input} ASSISTANT:"}
"""Conversations. What is not written here is in `pathplugins.data.llava_format`, which makes the token ids."""


def entry(turn_format: TurnFormat) -> dict[str, Any]:
    """Return a chat format as a prompt template; its token ids are made by the format that ``FORMAT`` names."""
    f = turn_format
    return {
        "FORMAT": f.name,
        "SYSTEM": "{system}".join(f.system or ("", "")),
        "INSTRUCTION": f"{f.begin}{f.user[0]}{{input}}{f.user[1]}{f.lead}",
        "SUFFIX": f.end,
        "SUFFIX_AS_EOS": True,
        "SEP": f.after,
        "STOP_WORDS": list(f.stop_words),
    }


TEMPLATES = {"pathgen_plain": PATHGEN_PLAIN, "pathgen_v1": PATHGEN_V1, **{n: entry(FORMATS.get(n)) for n in FORMATS}}
"""By the names they have in LLaMA-Factory, for a config that names its template."""


def llava_version(template: Mapping[str, Any]) -> Version | None:
    """Return which format of LLaVA v1.5 a template is, None for any other template."""
    return template.get("LLAVA")


def turn_format_of(template: Mapping[str, Any]) -> TurnFormat | None:
    """Return which exact chat format a template is, None for any other template."""
    return FORMATS.get(template["FORMAT"]) if "FORMAT" in template else None
