"""Markers of chat templates against vocabularies of other families."""

from __future__ import annotations

import pytest

from pathplugins.data.chat_markers import MARKERS, absent_markers, families

QWEN = {"<|im_start|>": 151644, "<|im_end|>": 151645, "USER": 3}
LLAMA3 = dict.fromkeys(MARKERS["llama3"])


def test_a_template_of_the_same_family_lacks_nothing() -> None:
    assert absent_markers("<|im_start|>user\n{{content}}<|im_end|>\n", QWEN) == []


def test_a_template_of_another_family_lacks_what_it_writes() -> None:
    assert absent_markers("<|im_start|>user\n<|im_end|>", LLAMA3) == ["<|im_start|>", "<|im_end|>"]
    assert absent_markers("<start_of_turn>user", QWEN) == ["<start_of_turn>"]


@pytest.mark.parametrize("plain", ["USER: {input} ASSISTANT:", "[INST] {input} [/INST]", "<|user|>\n<|assistant|>\n"])
def test_plain_words_lack_nothing(plain: str) -> None:
    assert absent_markers(plain, QWEN) == []


def test_the_family_of_a_vocabulary() -> None:
    assert families(QWEN) == ["qwen"]
    assert families(LLAMA3) == ["llama3"]
    assert families({"USER": 3}) == []
