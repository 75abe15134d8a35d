"""Exact chat formats, shared by both trainers: which tokens a conversation becomes, and which of them are learnt.

A published model has seen one exact row of tokens; stock templates of the trainers come near it. A format here is data
(`turn_format.TurnFormat`). LLaMA-Factory gets a template of its name (`pathplugins/llamafactory/turn_templates.py`),
XTuner a ``prompt_template`` of its name (`pathplugins/xtuner/templates.py`), and both write the same chat template into
the saved tokenizer (`jinja.chat_template`), by which `pathplugins ask` and all others ask as the model was trained.

To add one: a file beside `slidechat_qwen.py` that holds a ``TurnFormat``, and a row in `FORMATS` here. Compare its
token ids and labels with a reference in tests/data/turn_formats. Markers of a format have to be special tokens of the
language models it is for: a text is tokenized by itself from image to image and behind what opens an answer, and other
places do not matter only because special tokens cut texts anyway. LLaVA v1.5, whose turns begin with plain words, is
therefore a module of its own (`pathplugins.data.llava_format`).
"""

from __future__ import annotations

import re

from pathplugins.core.registry import Registry
from pathplugins.data.turn_formats.turn_format import TurnFormat

_HERE = "pathplugins.data.turn_formats"
FORMATS = Registry(
    "turn format",
    {
        "antoni_gemma3": f"{_HERE}.antoni_gemma3:ANTONI_GEMMA3",
        "pathosyn_qwen": f"{_HERE}.pathosyn_qwen:PATHOSYN_QWEN",
        "pathosyn_qwen_align": f"{_HERE}.pathosyn_qwen:PATHOSYN_QWEN_ALIGN",
        "pathosyn_qwen_double": f"{_HERE}.pathosyn_qwen:PATHOSYN_QWEN_DOUBLE",
        "slidechat_qwen": f"{_HERE}.slidechat_qwen:SLIDECHAT_QWEN",
    },
)
"""Name of a format, and of its template in both trainers -> `TurnFormat`."""

_NAMED = re.compile(r"\{#- turn format (\S+) of pathplugins -#\}")


def mark(name: str) -> str:
    """Return what a chat template of a format begins with, a comment, so that `format_of` knows it."""
    return f"{{#- turn format {name} of pathplugins -#}}"


def format_of(chat_template: object) -> TurnFormat | None:
    """Return the format that a tokenizer's chat template is of, None where it is another chat template.

    Raises:
        PathPluginsError: it is of a format that this version does not know.
    """
    found = _NAMED.match(chat_template) if isinstance(chat_template, str) else None
    return FORMATS.get(found[1]) if found else None
