"""Names of Gemma 3 with its vision part: which tensors are the language model's, and their names in it alone."""

from __future__ import annotations

import re

LEFT_OUT = "vision_tower", "multi_modal_projector"
"""First parts of the names of what is not the language model."""

_LANGUAGE = re.compile(r"(?:model\.)?language_model\.(?:model\.)?(.+)")


def language_name(name: str) -> str | None:
    """Return a tensor's name in the language model alone; ``""`` if it belongs to the vision part, None to no part.

    Transformers up to 4.51 wrote ``language_model.model.*``, and since 4.52 some write ``model.language_model.*``.
    """
    if name.removeprefix("model.").startswith(tuple(f"{part}." for part in LEFT_OUT)):
        return ""
    if name in ("lm_head.weight", "language_model.lm_head.weight"):
        return "lm_head.weight"
    found = _LANGUAGE.fullmatch(name)
    return f"model.{found[1]}" if found and not found[1].startswith("lm_head.") else None
