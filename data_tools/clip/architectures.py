"""CLIP architectures: open_clip's names, and which of them the shapes of a file of weights are those of."""

from __future__ import annotations

import difflib
from typing import Any, NamedTuple

from pathplugins.core.errors import PathPluginsError

from ..optional import need

QUICK_GELU = "-quickgelu"  #: at the end of a name: OpenAI's activation, which no shape tells from GELU
ALIASES = {"pathgen-clip": "ViT-B-16-quickgelu", "pathgen-clip-l": "ViT-L-14-336-quickgelu"}
"""The released PathGen-CLIP files, see `encoder_cards`; the published README gives the large one a name it has not."""


class Shape(NamedTuple):
    """All sizes of a CLIP with two plain transformers."""

    image_width: int
    patch_px: int
    image_tokens: int
    image_layers: int
    text_width: int
    text_tokens: int
    text_layers: int
    vocabulary: int
    features: int


def model_config(arch: str) -> dict[str, Any]:
    """open_clip's ``model_cfg`` of a name, of an alias, or of a name with ``-quickgelu`` behind it.

    Raises:
        PathPluginsError: no such name.
    """
    open_clip, name = need("open_clip", extra="pathgen"), ALIASES.get(arch, arch)
    config = open_clip.get_model_config(name)
    if config is None and name.endswith(QUICK_GELU):
        config = open_clip.get_model_config(name.removesuffix(QUICK_GELU))
    if config is None:
        known = [*ALIASES, *open_clip.list_models()]
        near = difflib.get_close_matches(arch, known, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise PathPluginsError(
            f"--clip-arch {arch}: no such model of open_clip. {hint}Known: {', '.join(ALIASES)}, and what "
            "open_clip.list_models() lists"
        )
    return {**config, "quick_gelu": True} if name.endswith(QUICK_GELU) else dict(config)


def shape_of_weights(weights: dict[str, Any]) -> Shape | None:
    """The sizes that weights show; None if they are not those of such a model."""
    names = ("visual.conv1.weight", "visual.positional_embedding", "positional_embedding", "token_embedding.weight")
    if any(name not in weights for name in (*names, "text_projection")):
        return None
    patches, image_tokens, text_tokens, vocabulary = (weights[name].shape for name in names)
    return Shape(
        image_width=patches[0],
        patch_px=patches[-1],
        image_tokens=image_tokens[0],
        image_layers=_layers(weights, "visual.transformer.resblocks."),
        text_width=text_tokens[1],
        text_tokens=text_tokens[0],
        text_layers=_layers(weights, "transformer.resblocks."),
        vocabulary=vocabulary[0],
        features=weights["text_projection"].shape[1],
    )


def fitting(shape: Shape | None) -> list[str]:
    """The names of open_clip's models of that shape, those with OpenAI's activation last."""
    if shape is None:
        return []
    open_clip = need("open_clip", extra="pathgen")
    names = [name for name in open_clip.list_models() if _shape_of_config(open_clip.get_model_config(name)) == shape]
    return sorted(names, key=lambda name: (name.endswith(QUICK_GELU), len(name), name))


def _layers(weights: dict[str, Any], before: str) -> int:
    return len({key[len(before) :].partition(".")[0] for key in weights if key.startswith(before)})


def _shape_of_config(config: dict[str, Any]) -> Shape | None:
    """None for models with other towers than two plain transformers."""
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    plain = isinstance(vision.get("layers"), int) and isinstance(vision.get("image_size", 224), int)
    if not plain or "timm_model_name" in vision or "hf_model_name" in text or config.get("custom_text"):
        return None
    patch_px = vision.get("patch_size", 16)
    return Shape(
        image_width=vision.get("width", 768),
        patch_px=patch_px,
        image_tokens=(vision.get("image_size", 224) // patch_px) ** 2 + 1,
        image_layers=vision["layers"],
        text_width=text.get("width", 512),
        text_tokens=text.get("context_length", 77),
        text_layers=text.get("layers", 12),
        vocabulary=text.get("vocab_size", 49408),
        features=config["embed_dim"],
    )
