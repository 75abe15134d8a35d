"""A template of another family than the language model is refused before a model is loaded."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError

pytestmark = pytest.mark.host


def use(name: str, tokenizer: Any) -> Any:
    """As every command of LLaMA-Factory does before it loads a model."""
    from llamafactory.data.template import get_template_and_fix_tokenizer

    options = {"train_on_prompt": False, "tool_format": None, "default_system": None}
    return get_template_and_fix_tokenizer(tokenizer, SimpleNamespace(template=name, enable_thinking=None, **options))


@pytest.fixture
def tokenizer(toy: Any) -> Any:
    """That of a language model of the family of Llama 3."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(toy.llm)


@pytest.mark.parametrize(
    ("name", "absent", "instead"),
    [
        ("custom_vqa_qwen", "<|im_start|>, <|im_end|>", "custom_vqa_llama3"),
        ("patch_vqa_gemma", "<start_of_turn>, <end_of_turn>", "patch_vqa_llama3"),
        ("custom_vqa_phi", "<|end|>", "custom_vqa_llama3"),
    ],
)
def test_another_family(tokenizer: Any, name: str, absent: str, instead: str) -> None:
    before = len(tokenizer)
    with pytest.raises(PathPluginsError) as raised:
        use(name, tokenizer)
    assert str(raised.value) == (
        f"template: {name} writes {absent}, which the tokenizer of {tokenizer.name_or_path} does not have; the "
        f"template must be one of the language model's family: set template: {instead}"
    )
    assert len(tokenizer) == before, "no token was added"


def test_a_language_model_without_markers(tokenizer: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    del tokenizer
    build_tiny_llm(tmp_path / "llm", ["Which tissue?"])
    plain = AutoTokenizer.from_pretrained(tmp_path / "llm")
    known = {token: id_ for token, id_ in plain.get_vocab().items() if not token.startswith("<|")}
    plain.get_vocab = lambda: known
    with pytest.raises(PathPluginsError, match=r"custom_vqa_vicuna or custom_vqa_mistral$"):
        use("custom_vqa_llama3", plain)


@pytest.mark.parametrize("name", ["custom_vqa_llama3", "custom_vqa_vicuna", "custom_vqa_mistral"])
def test_one_that_fits(tokenizer: Any, name: str) -> None:
    assert use(name, tokenizer).format_user.slots


def test_stock_templates_are_left_alone(tokenizer: Any) -> None:
    assert use("qwen", tokenizer).stop_words == ["<|im_end|>"]
    assert "<|im_end|>" in tokenizer.get_vocab()
