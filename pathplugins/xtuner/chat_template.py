"""An XTuner prompt template as a chat template, so that the exported model is asked the way it was trained."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pathplugins.data.llava_format import chat_template
from pathplugins.data.turn_formats import jinja
from pathplugins.xtuner.conversations import resolve_system, resolve_template
from pathplugins.xtuner.templates import llava_version, turn_format_of


def jinja_template(template: Any, system: str = "", *, tokenizer: Any = None) -> str:
    """Return the template in the language of tokenizers.

    Args:
        template: entry of ``PROMPT_TEMPLATE`` or of `pathplugins.xtuner.templates`, or its dotted name.
        system: system prompt of a conversation that has none.
        tokenizer: whose special tokens a template of LLaVA v1.5 writes out; the others do without.
    """
    entry = resolve_template(template)
    if version := llava_version(entry):
        return chat_template(version, tokenizer, resolve_system(system))
    if form := turn_format_of(entry):
        return jinja.chat_template(form, resolve_system(system))
    suffix, separator = entry.get("SUFFIX", ""), entry.get("SEP", "")
    ends_itself = entry.get("SUFFIX_AS_EOS", False)  # otherwise each answer ends with EOS, and BOS begins the next turn
    begin = "{{ bos_token or '' }}"
    opening = (
        "{% if messages[0]['role'] == 'system' %}{% set told = messages[0]['content'] %}{% set turns = messages[1:] %}"
        "{% else %}{% set told = " + _quoted(resolve_system(system)) + " %}{% set turns = messages %}{% endif %}"
    )
    said = "{% if told %}" + _filled(entry.get("SYSTEM", "{system}"), {"system": "told"}) + "{% endif %}"
    first = "{% if loop.first %}" + begin + said + "{% endif %}"
    again = "" if ends_itself else "{% if not loop.first %}" + begin + "{% endif %}"
    numbers = {"input": "turn['content']", "round": "loop.index0 // 2 + 1"}
    asked = _filled(entry.get("INSTRUCTION", "{input}"), numbers)
    answered = "{{ turn['content'] }}" + _literal(suffix) + ("" if ends_itself else "{{ eos_token }}")
    return (
        opening
        + "{% for turn in turns %}{% if turn['role'] == 'user' %}"
        + first
        + again
        + asked
        + "{% else %}"
        + answered
        + _literal(separator)
        + "{% endif %}{% endfor %}"
    )


def _filled(text: str, names: Mapping[str, str]) -> str:
    """Return a ``str.format`` text with Jinja expressions in its braces."""
    pieces = re.split("(" + "|".join(rf"\{{{name}\}}" for name in names) + ")", text)
    return "".join(
        "{{ " + names[piece[1:-1]] + " }}" if piece[1:-1] in names and piece[:1] == "{" else _literal(piece)
        for piece in pieces
    )


def _literal(text: str) -> str:
    return "{{ " + _quoted(text.replace("{{", "{").replace("}}", "}")) + " }}" if text else ""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # JSON writes an emoji as two escapes, which Jinja reads as two halves
