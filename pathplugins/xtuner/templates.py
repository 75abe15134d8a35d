"""Prompt templates that XTuner does not have: the two conversation formats of LLaVA v1.5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pathplugins.data.llava_format import Version

PATHGEN_PLAIN = {"LLAVA": "plain", "INSTRUCTION": "{input}", "SUFFIX": "\n"}
"""Captions: for ``prompt_template=PATHGEN_PLAIN``."""
PATHGEN_V1 = {"LLAVA": "v1", "SYSTEM": "{system} ", "INSTRUCTION": "USER: {input} ASSISTANT:"}
"""Conversations. What is not written here is in `pathplugins.data.llava_format`, which makes the token ids."""

TEMPLATES = {"pathgen_plain": PATHGEN_PLAIN, "pathgen_v1": PATHGEN_V1}
"""By the names they have in LLaMA-Factory, for a config that names its template."""


def llava_version(template: Mapping[str, Any]) -> Version | None:
    """Return which format of LLaVA v1.5 a template is, None for any other template."""
    return template.get("LLAVA")
