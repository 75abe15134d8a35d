"""The prompt of a question is what the model's own chat template makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from pathplugins.commands.prompting import before_answer, conversation
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.prompts import SYSTEM_PROMPT

transformers = pytest.importorskip("transformers")

LLAMA = (
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>{{ m['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>{% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + LLAMA
)
QUESTION = "What does this slide show?"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    return transformers.AutoTokenizer.from_pretrained(
        build_tiny_llm(tmp_path_factory.mktemp("llm") / "llm", [QUESTION])
    )


def with_template(tokenizer: Any, template: str | None) -> Any:
    tokenizer.chat_template = template
    return tokenizer


def test_the_prompt_is_the_templates(tokenizer: Any) -> None:
    user = f"<|start_header_id|>user<|end_header_id|><image>\n{QUESTION}<|eot_id|>"
    end = "<|start_header_id|>assistant<|end_header_id|>"
    ours = f"<|start_header_id|>system<|end_header_id|>{SYSTEM_PROMPT}<|eot_id|>"
    assert conversation(with_template(tokenizer, LLAMA), QUESTION) == ours + user + end
    assert conversation(with_template(tokenizer, NO_SYSTEM), QUESTION) == user + end
    with pytest.raises(PathPluginsError, match="the tokenizer has no chat template"):
        conversation(with_template(tokenizer, None), QUESTION)


def test_a_template_with_a_system_prompt_keeps_it(tokenizer: Any) -> None:
    """As LLaMA-Factory writes it into a trained model: asked the way it was trained."""
    default = (
        "{% set system = messages[0]['content'] if messages[0]['role'] == 'system' else 'As trained.' %}[{{ system }}]"
    )
    rest = "{% for m in messages if m['role'] != 'system' %}<{{ m['content'] }}>{% endfor %}"
    assert conversation(with_template(tokenizer, default + rest), "Why?") == "[As trained.]<<image>\nWhy?>"


def test_a_system_prompt_that_is_given_is_used_or_refused(tokenizer: Any) -> None:
    given = conversation(with_template(tokenizer, LLAMA), QUESTION, system="Be brief.")
    assert given.startswith("<|start_header_id|>system<|end_header_id|>Be brief.<|eot_id|>")
    assert SYSTEM_PROMPT not in given
    with pytest.raises(PathPluginsError, match="--system: the chat template of this model takes no system prompt"):
        conversation(with_template(tokenizer, NO_SYSTEM), QUESTION, system="Be brief.")
    deaf = "{% for m in messages if m['role'] != 'system' %}<{{ m['content'] }}>{% endfor %}"
    with pytest.raises(PathPluginsError, match="leaves system prompts out"):
        conversation(with_template(tokenizer, deaf), QUESTION, system="Be brief.")


def test_the_turns_before_stand_before_and_the_image_in_the_first(tokenizer: Any) -> None:
    template = "{% for m in messages if m['role'] != 'system' %}[{{ m['role'] }}:{{ m['content'] }}]{% endfor %}"
    told = conversation(with_template(tokenizer, template), "Sure?", before=[("What?", "This."), ("Why?", "So.")])
    turns = ["user:<image>\nWhat?", "assistant:This.", "user:Why?", "assistant:So.", "user:Sure?"]
    assert told == "".join(f"[{turn}]" for turn in turns)


def test_what_is_no_text_is_no_prompt(tokenizer: Any) -> None:
    half = "What \udc80?"
    for question, more in ((half, {}), ("What?", {"system": half}), ("What?", {"before": [("Is it?", half)]})):
        with pytest.raises(PathPluginsError, match="is no text in UTF-8"):
            conversation(with_template(tokenizer, LLAMA), question, **more)


def test_blanks_between_a_prompt_and_its_answer_are_the_templates(tokenizer: Any) -> None:
    turns = "{% for m in messages %}[{{ m['role'] }}]SEP{{ m['content'] }}{% endfor %}"
    ends = "{% if add_generation_prompt %}[assistant]{% endif %}"
    for between, found in ((" ", " "), ("\n\n", "\n\n"), ("", ""), ("<think></think>", "")):
        template = turns.replace("SEP", between) + ends
        assert before_answer(with_template(tokenizer, template)) == found
    assert before_answer(with_template(tokenizer, turns.replace("SEP", " ") + ends + "  ")) == ""
