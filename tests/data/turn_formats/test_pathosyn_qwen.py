"""Token ids and label masks of PathoSynVLM's formats, against a reference written from their description."""

from __future__ import annotations

from typing import Any

import pathosyn_reference as reference
import pytest
from slidechat_reference import tiny_qwen
from transformers import AutoTokenizer

from pathplugins.data.records import Turn
from pathplugins.data.turn_formats import FORMATS
from pathplugins.data.turn_formats.encode import encode, prompt_ids
from pathplugins.data.turn_formats.jinja import chat_template
from pathplugins.data.turn_formats.pathosyn_qwen import REPORT_TASK, REQUEST

FORMS = {
    "pathosyn_qwen": {"system": reference.TASK.strip()},
    "pathosyn_qwen_double": {"system": (reference.TASK + reference.TASK).strip()},
    "pathosyn_qwen_align": {"system": reference.QWEN, "listed": False},
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    texts = [reference.TASK, reference.CASE, REQUEST, REPORT_TASK]
    return AutoTokenizer.from_pretrained(tiny_qwen(tmp_path_factory.mktemp("llm") / "llm", texts))


def turns_of(turns: reference.Turns, system: str | None) -> list[Turn]:
    said = [] if system is None else [Turn("system", system)]
    return said + [turn for asked, told in turns for turn in (Turn("user", asked), Turn("assistant", told))]


@pytest.mark.parametrize("system", [None, "You see {tissue}."], ids=["own", "system"])
@pytest.mark.parametrize("case", reference.CONVERSATIONS)
@pytest.mark.parametrize("name", FORMS)
def test_ids_and_labels_are_as_described_and_asked_as_trained(
    tokenizer: Any, name: str, case: str, system: str | None
) -> None:
    form, turns = FORMATS.get(name), reference.CONVERSATIONS[case]
    options = {**FORMS[name], **({} if system is None else {"system": system})}
    wanted = reference.ids_and_labels(
        turns, lambda text: tokenizer(text, add_special_tokens=False).input_ids, **options
    )
    [made] = encode(form, [turns_of(turns, system)], tokenizer)
    ids, labels = [], []
    for asked, lead, answer in made.rounds:
        ids += asked + lead + answer
        labels += [-100] * len(asked + lead) + answer
    assert (ids + made.after, labels) == wanted
    assert made.after == []

    tokenizer.chat_template = chat_template(form)
    messages = [{"role": turn.role, "content": turn.text} for turn in turns_of(turns, system)[:-1]]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    chunks = [prompt_ids(form, chunk, tokenizer) for chunk in text.split("<image>")]
    prompt = [token for n, chunk in enumerate(chunks) for token in [-200] * (n > 0) + chunk]
    assert prompt == ids[: len(ids) - len(made.rounds[-1].answer)]
