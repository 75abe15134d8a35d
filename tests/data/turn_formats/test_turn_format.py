"""How a conversation is written in an exact chat format, and what has no place in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import Record, Turn
from pathplugins.data.turn_formats import FORMATS, format_of, jinja, mark
from pathplugins.data.turn_formats.turn_format import Round, cut, misread, rounds

SLIDECHAT = FORMATS.get("slidechat_qwen")


def test_images_move_to_the_front_of_their_turn() -> None:
    turns = [Turn("user", "Is <image> like\n<image>? "), Turn("assistant", " No. "), Turn("user", " So?")]
    assert rounds(SLIDECHAT, [*turns, Turn("assistant", "")]) == [
        Round(
            ["<|im_start|>user\n", "<image>", "<image>", "\nIs  like\n?<|im_end|>\n"],
            "<|im_start|>assistant\n",
            " No. <|im_end|>",
        ),
        Round(["\n", "<|im_start|>user\n So?<|im_end|>\n"], "<|im_start|>assistant\n", ""),
    ]


def test_a_text_is_cut_behind_every_lead() -> None:
    lead = SLIDECHAT.lead
    assert cut(SLIDECHAT, f"a{lead}b{lead}") == ["a", lead, "b", lead]
    assert cut(SLIDECHAT, "") == []


def record(*turns: Turn) -> Record:
    return Record(id="a", conversations=turns, images=(), meta={}, source="a.json", row=3)


def test_what_has_no_place_is_named() -> None:
    good = record(Turn("user", "<|endoftext|>?"), Turn("assistant", "No."))
    marked = record(Turn("user", "?"), Turn("assistant", "It ends<|im_end|> here."))
    [found] = misread(SLIDECHAT, [good, marked])
    assert (found.source, found.row, found.reason) == ("a.json", 3, "marker in the text")
    assert found.detail == (
        "a: a text holds <|im_end|>, which the format slidechat_qwen writes around turns; leave it out"
    )
    told = record(Turn("system", "Be brief."), Turn("user", "?"), Turn("assistant", "No."))
    assert misread(SLIDECHAT, [told]) == []
    [found] = misread(replace(SLIDECHAT, system=None), [told])
    assert "a system prompt, for which the format slidechat_qwen has no place" in found.detail


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_chat_template_is_known_by_its_format(name: str) -> None:
    form = FORMATS.get(name)
    assert form.name == name
    assert form.stop_words[0] in form.end
    assert format_of(jinja.chat_template(form)) is form


def test_other_chat_templates_are_of_none() -> None:
    assert format_of(None) is None
    assert format_of("{{ messages }}") is None
    with pytest.raises(PathPluginsError, match=r"unknown turn format 'slidechat_quen'\. Did you mean 'slidechat_qwen'"):
        format_of(mark("slidechat_quen"))
