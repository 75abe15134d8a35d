"""Names of LLaVA's weights: the original's, those of Transformers' two layouts, and the part each belongs to.

The original is haotian-liu/LLaVA. Transformers' ``LlavaForConditionalGeneration`` names its parts
``language_model.model.*`` in files up to 4.51, and ``model.language_model.*`` in some of later versions; the former is
read by all.
"""

from __future__ import annotations

import re
from typing import Literal

Part = Literal["language model", "connector", "vision tower", "nothing"]
Layout = Literal["llava", "hf-llava"]

_CLIP = re.compile(r"(?:vision_model\.)?((?:embeddings|pre_layrnorm|encoder|post_layernorm)\..+)")
_BUFFERS = re.compile(r".*(?:rotary_emb\.inv_freq|embeddings\.position_ids)")
"""What old versions of Transformers saved beside the weights."""
_CONNECTOR = {"0": "linear_1", "2": "linear_2"}
"""Places in LLaVA's ``nn.Sequential`` -> our names."""


def part_of(name: str, layout: Layout) -> tuple[Part, str] | None:
    """Return the part a tensor belongs to and its name in a `custom_llava` model; None for a name of no part.

    The language model's is ``model.*`` or ``lm_head.weight``, the others' are bare.
    """
    if _BUFFERS.fullmatch(name):
        return "nothing", name
    return (_of_original if layout == "llava" else _of_transformers)(name)


def _of_original(name: str) -> tuple[Part, str] | None:
    if found := re.fullmatch(r"model\.mm_projector\.(?:(\d+)\.)?(weight|bias)", name):
        place, kind = found.groups()
        layer = "linear_1" if place is None else _CONNECTOR.get(place)
        return ("connector", f"{layer}.{kind}") if layer else None
    if name.startswith("model.vision_tower."):
        return _of_tower(name.removeprefix("model.vision_tower.vision_tower."))
    return ("language model", name) if _is_language(name) else None


def _of_transformers(name: str) -> tuple[Part, str] | None:
    name = re.sub(r"^model\.(?=(language_model|vision_tower|multi_modal_projector)\.)", "", name)
    if name.startswith("multi_modal_projector."):
        return "connector", name.removeprefix("multi_modal_projector.")
    if name.startswith("vision_tower."):
        return _of_tower(name.removeprefix("vision_tower."))
    if name == "lm_head.weight":
        return "language model", name
    if not name.startswith("language_model."):
        return None
    name = name.removeprefix("language_model.")
    name = name if name.startswith(("model.", "lm_head.")) else f"model.{name}"
    return ("language model", name) if _is_language(name) else None


def _of_tower(name: str) -> tuple[Part, str] | None:
    found = _CLIP.fullmatch(name)
    return ("vision tower", found[1]) if found else None


def _is_language(name: str) -> bool:
    return re.match(r"model\.(embed_tokens|layers|norm)\.|lm_head\.", name) is not None


def to_layout(name: str, layout: Layout, *, linear: bool = False) -> str:
    """Return the name that a file of ``layout`` has for a tensor of a `custom_llava` model.

    Args:
        name: as in our checkpoints: ``model.*``, ``lm_head.*``, ``multi_modal_projector.*``, ``vision_tower.*``.
        layout: of the file; the original keeps its vision tower in another directory.
        linear: the connector is LLaVA's bare layer.
    """
    if layout == "hf-llava":
        name = re.sub(r"^vision_tower\.", "vision_tower.vision_model.", name)
        return re.sub(r"^(?=(model|lm_head)\.)", "language_model.", name)
    for place, ours in _CONNECTOR.items():
        before, after = f"multi_modal_projector.{ours}.", "model.mm_projector." + ("" if linear else f"{place}.")
        if name.startswith(before):
            return after + name.removeprefix(before)
    return name
