"""``xtuner chat``, which knows no model of ours: it says so at once, and what does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pathplugins.core.files import is_file, read_json

MODEL_TYPE = "custom_llava"


def refusal(words: Sequence[str]) -> str | None:
    """Return why ``xtuner chat`` cannot ask a model named among its words; None where it names none of ours.

    Args:
        words: of the command line, the program first.
    """
    if list(words[1:2]) != ["chat"]:
        return None
    for word in words[2:]:
        config = Path(word) / "config.json"
        if is_file(config) and read_json(config).get("model_type") == MODEL_TYPE:
            return (
                f"error: xtuner chat asks language models and LLaVA of XTuner's own, and {word} is a {MODEL_TYPE} "
                f"model; ask it with `pathplugins chat {word}`, or one question with `pathplugins ask {word}`"
            )
    return None
