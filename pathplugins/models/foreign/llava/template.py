"""Give an imported tokenizer without a chat template that of LLaVA v1.5."""

from __future__ import annotations

from pathlib import Path

from jinja2 import TemplateError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from pathplugins.data.llava_format import chat_template
from pathplugins.models.custom_llava.tokenizer_files import make_portable
from pathplugins.models.foreign.chat_template import write_chat_template

_PROBE = "a question"


def ensure_template(folder: Path) -> bool:
    """Give the tokenizer in ``folder`` the v1 template if it has none for plain text; return whether it was given.

    Transformers' LLaVA comes with a template whose turns are lists of parts; of a turn of plain text it makes nothing.
    """
    make_portable(folder)  # before it is read: Transformers 4 cannot read what 5 has saved
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if _takes_text(tokenizer):
        return False
    give_template(folder)
    return True


def give_template(folder: Path, system: str = "") -> None:
    """Give the tokenizer in ``folder`` the v1 template, whatever it has, with ``system`` in place of LLaVA's own."""
    make_portable(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    write_chat_template(folder, chat_template("v1", tokenizer, system))


def _takes_text(tokenizer: PreTrainedTokenizerBase) -> bool:
    if not tokenizer.chat_template:
        return False
    try:
        return _PROBE in tokenizer.apply_chat_template([{"role": "user", "content": _PROBE}], tokenize=False)
    except TemplateError:
        return False
