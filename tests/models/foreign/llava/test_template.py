"""The chat template of an imported tokenizer: LLaVA's where there is none for plain text, else its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from transformers import AutoTokenizer

from pathplugins.core.files import read_json, write_json
from pathplugins.models.foreign.llava.template import ensure_template

OF_PARTS = "{% for m in messages %}{% for c in m['content'] %}{{ c['text'] }}{% endfor %}{% endfor %}"


def with_template(folder: Path, template: str | None) -> Path:
    settings = read_json(folder / "tokenizer_config.json")
    settings.pop("chat_template", None)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    write_json(folder / "tokenizer_config.json", settings | ({"chat_template": template} if template else {}))
    return folder


def test_a_template_is_given_once_and_only_where_there_is_none(make_llm: Callable[..., Path]) -> None:
    folder = make_llm()
    for template in (None, OF_PARTS):
        assert ensure_template(with_template(folder, template))
        turns = [{"role": "user", "content": "What is shown?"}]
        assert "USER: What is shown? ASSISTANT:" in AutoTokenizer.from_pretrained(folder).apply_chat_template(
            turns, tokenize=False
        )
        assert not ensure_template(folder)
    assert not ensure_template(with_template(folder, "{{ messages[0]['content'] }}!"))
    assert AutoTokenizer.from_pretrained(folder).chat_template == "{{ messages[0]['content'] }}!"
