"""Write a chat template into the tokenizer of an imported model."""

from __future__ import annotations

from pathlib import Path

from pathplugins.core.files import read_json, write_json

SETTINGS = "tokenizer_config.json"


def write_chat_template(folder: Path, template: str) -> None:
    """Let the tokenizer in ``folder`` ask by ``template``, whatever it came with.

    Args:
        folder: a model directory, or that of a tokenizer.
        template: in the language of tokenizers.
    """
    (folder / "chat_template.jinja").unlink(missing_ok=True)  # would be read before the other
    write_json(folder / SETTINGS, read_json(folder / SETTINGS) | {"chat_template": template})
