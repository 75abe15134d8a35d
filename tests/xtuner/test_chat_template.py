"""Chat templates made of XTuner's prompt templates: who asks the exported model sees the words of the training."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer
from xtuner.dataset.map_fns.template_map_fn import template_map_fn
from xtuner.dataset.utils import encode_fn
from xtuner.utils import IGNORE_INDEX, PROMPT_TEMPLATE

from pathplugins.models.compose.tiny_llm import build_tiny_llm
from pathplugins.xtuner.chat_template import jinja_template

pytestmark = pytest.mark.host

TURNS = (
    ('What does "this" {show} & {{that}}?', "An invasive\n carcinoma, 14 % of {it}."),
    ("{% if x %}Which grade?{% endif %}", "It's grade 2, ER+"),
    ("Größe in µm? 😀", "C:\\x {{ y }} <b>"),
)
SYSTEMS = ["", "Be brief: {tissue}, \"5 µm\"\\n\n'😀' {{ x }}"]
ENTRIES = sorted(PROMPT_TEMPLATE)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of bytes alone: no merge could run across the border of two pieces, as none does with special tokens there."""
    return AutoTokenizer.from_pretrained(build_tiny_llm(tmp_path_factory.mktemp("llm") / "llm", [""], vocabulary=10))


def trained(tokenizer: Any, name: str, system: str, turns: tuple[tuple[str, str], ...]) -> dict[str, list[int]]:
    """Ids and labels by XTuner's own functions."""
    conversation: list[dict[str, Any]] = [{"input": asked, "output": told} for asked, told in turns]
    conversation[0]["system"] = system
    example = template_map_fn({"conversation": conversation}, PROMPT_TEMPLATE[name])
    return encode_fn(example, tokenizer, max_length=100_000)


def asked(tokenizer: Any, template: str, turns: tuple[tuple[str, str], ...], system: str | None) -> list[int]:
    """Ids of a conversation that ends with a question, as any program with the exported directory makes them."""
    messages = [] if system is None else [{"role": "system", "content": system}]
    for question, answer in turns:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return tokenizer.apply_chat_template(
        messages[:-1], chat_template=template, add_generation_prompt=True, tokenize=True, return_dict=False
    )


def test_there_are_entries() -> None:
    assert len(ENTRIES) >= 25
    assert {PROMPT_TEMPLATE[name].get("SUFFIX_AS_EOS", False) for name in ENTRIES} == {True, False}


@pytest.mark.parametrize("name", ENTRIES)
def test_every_prompt_is_the_one_of_the_training(tokenizer: Any, name: str) -> None:
    """All of what stands before the answer, which is the part that is learnt, with its BOS, EOS and round numbers."""
    systems = SYSTEMS if "SYSTEM" in PROMPT_TEMPLATE[name] else [""]
    for count, system in itertools.product((1, 2, 3), systems):
        turns = TURNS[:count]
        whole = trained(tokenizer, name, system, turns)
        ids, labels = whole["input_ids"], whole["labels"]
        learnt = [place for place, label in enumerate(labels) if label != IGNORE_INDEX]
        start = next(p for p in reversed(learnt) if p - 1 not in learnt)  # of the last answer
        assert start > 0
        by_default = asked(tokenizer, jinja_template(PROMPT_TEMPLATE[name], system), turns, None)
        assert by_default == ids[:start], tokenizer.decode(by_default)
        other = "Quite another one." if "SYSTEM" in PROMPT_TEMPLATE[name] else ""
        assert asked(tokenizer, jinja_template(PROMPT_TEMPLATE[name], other), turns, system) == ids[:start]


@pytest.mark.parametrize("name", ENTRIES)
def test_a_whole_conversation_is_the_one_of_the_training(tokenizer: Any, name: str) -> None:
    messages = [
        {"role": role, "content": text}
        for turn in TURNS
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    template = jinja_template(PROMPT_TEMPLATE[name])
    got = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=True, return_dict=False)
    assert got == trained(tokenizer, name, "", TURNS)["input_ids"]


def test_without_bos(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    bare = AutoTokenizer.from_pretrained(tmp_path)
    bare.bos_token = None
    got = asked(bare, jinja_template("llama3_chat", "Be brief."), TURNS, None)
    assert bare.decode(got).startswith("<|start_header_id|>system")


def test_names_that_a_dumped_config_holds() -> None:
    named = jinja_template("xtuner.utils.PROMPT_TEMPLATE.llama3_chat", "pathplugins.data.prompts.PATCH_SYSTEM_PROMPT")
    from pathplugins.data.prompts import PATCH_SYSTEM_PROMPT

    assert named == jinja_template(PROMPT_TEMPLATE.llama3_chat, PATCH_SYSTEM_PROMPT)
    assert "pathplugins.data" not in named


def test_the_template_survives_a_directory(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.chat_template = jinja_template("vicuna", SYSTEMS[1])
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    messages = [{"role": "user", "content": TURNS[0][0]}]
    got = again.apply_chat_template(messages, tokenize=True, add_generation_prompt=True, return_dict=False)
    assert got == asked(tokenizer, jinja_template("vicuna", SYSTEMS[1]), TURNS[:1], None)
