"""A chat format as the chat template of a tokenizer, so that a saved model is asked the way it was trained."""

from __future__ import annotations

from pathplugins.data.records import IMAGE_PLACEHOLDER
from pathplugins.data.turn_formats import mark
from pathplugins.data.turn_formats.turn_format import TurnFormat


def chat_template(turn_format: TurnFormat, system: str = "") -> str:
    """Return the format in the language of tokenizers: every turn is one text, with ``<image>`` for each image.

    What opens an answer stands behind every question.

    Args:
        turn_format: the format.
        system: system prompt of a conversation without a system turn, instead of the format's own.
    """
    f = turn_format
    image, placeholder = repr("".join((f.image[0], IMAGE_PLACEHOLDER, f.image[1]))), repr(IMAGE_PLACEHOLDER)
    told = f"{f.system[0]!r} + system + {f.system[1]!r}" if f.system else "''"
    told = "{% if system %}{{ " + told + " }}{% endif %}"
    count = "{% set count = turn['content'].split(" + placeholder + ")|length - 1 %}"
    front = "{% for turn in turns %}" + count + "{{ " + image + " * count }}{% endfor %}"
    stripped = f"turn['content']|replace({placeholder}, '')|trim"
    asked = stripped if f.strip else f"({stripped}) if count else turn['content']"
    asked = count + "{% set rest = " + asked + " %}{{ " + f"{f.user[0]!r}" + " }}" + "{inside}{{ "
    if f.images == "turn":
        asked += f"{image} * count + ({f.gap!r} if count and rest else '') + "
    asked += "rest }}" + _lines(f) + "{{ " + f"{f.user[1] + f.lead!r}" + " }}"
    inside = "{% if loop.first %}" + told + "{% endif %}" if f.system_inside else ""
    answer = "turn['content']|trim" if f.strip else "turn['content']"
    return (
        mark(f.name)
        + "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}"
        + "{% set turns = messages[1:] %}{% else %}"
        + "{% set system = "
        + repr((system or f.default_system) if f.system else "")
        + " %}{% set turns = messages %}{% endif %}"
        + (front if f.images == "conversation" else "")
        + ("{% set seen = namespace(images=0) %}" if f.listed else "")
        + ("{{ " + repr(f.begin) + " }}" if f.begin else "")
        + ("" if f.system_inside else told)
        + "{% for turn in turns %}{% if turn['role'] == 'user' %}"
        + asked.replace("{inside}", inside)
        + "{% elif turn['role'] == 'assistant' %}{{ ("
        + answer
        + f") + {f.end + f.after!r}"
        + " }}{% endif %}{% endfor %}"
    )


def _lines(turn_format: TurnFormat) -> str:
    """Return what writes a line for each image of a turn, behind its text ``rest``."""
    if not turn_format.listed:
        return ""
    before, behind = turn_format.listed.split("{}")
    number = f"{before!r} ~ (seen.images + loop.index) ~ {behind!r}"
    return (
        "{% for _ in range(count) %}{{ ('\\n' if rest or not loop.first else '') ~ "
        + number
        + " }}{% endfor %}{% set seen.images = seen.images + count %}"
    )
