"""The question to an image, found in token ids (feature W29): the same in training and in generation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from pathplugins.models.custom_llava.questions import find_questions, question_marks

IMAGE = 1_000_000

LLAMA_3 = (
    "<|start_header_id|>system<|end_header_id|>\n\nYou are a pathologist.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n{0}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
)
VICUNA = "A chat. The assistant gives helpful answers. USER: {0} ASSISTANT:"
LLAMA_2 = "[INST] {0} [/INST]"


@pytest.fixture(scope="module")
def tokenizer(make_llm: Callable[..., Path]) -> Any:
    return AutoTokenizer.from_pretrained(make_llm())


@pytest.fixture(scope="module")
def ask(tokenizer: Any) -> Callable[..., list[str]]:
    """The questions in a text with ``<image>`` placeholders, each of which is three tokens."""
    marks = question_marks(tokenizer)

    def ask(text: str, *, images: int = 1, seen: bool = True, pad: int = 0) -> list[str]:
        parts = [tokenizer(part, add_special_tokens=False)["input_ids"] for part in text.split("<image>")]
        ids = [tokenizer.eos_token_id] * pad + parts[0]
        for part in parts[1:]:
            ids += [IMAGE] * 3 + part
        found = find_questions(ids, [int(seen)] * len(ids), IMAGE, [3] * images, marks)
        return [tokenizer.decode(question) for question in found]

    return ask


@pytest.mark.parametrize("template", [LLAMA_3, VICUNA, LLAMA_2])
@pytest.mark.parametrize("answer", ["", "The slide shows necrosis.", " Yes", "\nYes"])
@pytest.mark.parametrize("pad", [0, 4])
def test_w29_it_is_the_users_text_alone_whatever_is_answered(
    ask: Callable[..., list[str]], template: str, answer: str, pad: int
) -> None:
    """Without the answer, as in generation, and with it, as in training; no system prompt, no padding."""
    question = "Is there any necrosis?"
    for user in (f"<image>\n{question}", f"<image> {question}", f"{question}\n<image>", f"<image>{question}\n"):
        got = ask(template.format(user) + answer, pad=pad)
        assert [text.strip() for text in got] == [question], user


@pytest.mark.parametrize("template", [LLAMA_3, VICUNA])
def test_w29_each_turn_has_its_own_question(ask: Callable[..., list[str]], template: str) -> None:
    """Text after the image first; a turn without an image adds nothing to the one before."""
    end = "<|eot_id|>" if template is LLAMA_3 else "</s>"
    text = (
        template.format("<image>\nWhat organ is it?")
        + f"Lung.{end}"
        + template.format("Are you sure?")
        + f"Yes.{end}"
        # an image between two texts is asked about by the second
        + template.format("Look here. <image>\nAnd this?")
        + f"Skin.{end}"
    )
    assert [q.strip() for q in ask(text, images=2)] == ["What organ is it?", "And this?"]


def test_w29_two_images_of_a_turn_share_what_follows(ask: Callable[..., list[str]]) -> None:
    got = ask(LLAMA_3.format("<image><image>Compare <image> both"), images=3)
    assert [" ".join(q.split()) for q in got] == ["Compare both", "Compare both", "both"]


def test_an_image_behind_the_mask_stands_in_for_none(ask: Callable[..., list[str]]) -> None:
    assert ask("Hello.<image>", seen=False) == [""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<image>\nA caption of a patch without any template", "found no end of the user's turn behind an image"),
        (LLAMA_3.format("<image>\n"), "a turn of the user holds nothing but images"),
    ],
)
def test_w29_what_is_no_question_is_said(ask: Callable[..., list[str]], text: str, message: str) -> None:
    """Not the mean over whatever is there, as published."""
    with pytest.raises(ValueError, match=message):
        ask(text)
