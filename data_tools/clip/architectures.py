"""OpenCLIP architecture names, and how to recognise one from the tensor shapes in a weights file."""

from __future__ import annotations

import difflib
from typing import Any, NamedTuple

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import need
from pathplugins.published.open_clip import GELU, QUICK_GELU, QUICK_SUFFIX
from pathplugins.published.pathgen_clip import BY_NAME, activation_question, checkpoint_of_file


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


def model_config(arch: str, activation: str | None = None) -> dict[str, Any]:
    """Return OpenCLIP's ``model_cfg`` of an architecture, with its activation.

    Args:
        arch: a name of OpenCLIP, also with ``-quickgelu`` behind it, or of a published checkpoint (``pathgen-clip-l``).
        activation: ``quick_gelu`` or ``gelu``, as the user says; None takes the one of the name or of the publishers.

    Raises:
        PathPluginsError: no such name, or an activation that is open or contradicts the name.
    """
    open_clip, published = need("open_clip", extra="pathgen"), BY_NAME.get(arch)
    if published:
        activation = activation or published.activation
        if activation is None:
            raise PathPluginsError(activation_question(f"--clip-arch {arch}", published))
    name = published.architecture if published else arch
    config = open_clip.get_model_config(name)
    if config is None and name.endswith(QUICK_SUFFIX):
        config = open_clip.get_model_config(name.removesuffix(QUICK_SUFFIX))
    if config is None:
        near = difflib.get_close_matches(arch, [*BY_NAME, *open_clip.list_models()], n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise PathPluginsError(
            f"--clip-arch {arch}: no such model of open_clip. {hint}Known: {', '.join(BY_NAME)}, and the names of "
            "open_clip.list_models()"
        )
    quick = name.endswith(QUICK_SUFFIX) or bool(config.get("quick_gelu"))
    if quick and activation == GELU:
        raise PathPluginsError(f"--clip-arch {arch} runs {QUICK_GELU}, --activation says {GELU}; remove one of the two")
    return {**config, "quick_gelu": True} if quick or activation == QUICK_GELU else dict(config)


def check_published_file(file: str, arch: str, config: dict[str, Any]) -> None:
    """Refuse a published checkpoint under an architecture name that runs another activation than its authors do.

    Args:
        file: name of the weights file.
        arch: name the user gave, which chose the activation; nobody passed ``--activation``.
        config: OpenCLIP's ``model_cfg`` of that name.

    Raises:
        PathPluginsError: the published activation differs, or is open.
    """
    published = checkpoint_of_file(file)
    if published is None:
        return
    runs = QUICK_GELU if config.get("quick_gelu") else GELU
    if published.activation is None and not arch.endswith(QUICK_SUFFIX):
        raise PathPluginsError(activation_question(f"--clip {file} --clip-arch {arch}", published))
    if published.activation not in (None, runs):
        raise PathPluginsError(
            f"--clip-arch {arch} runs {runs}, but {file} was run with {published.activation} "
            f"({published.activation_told()}): pass --clip-arch {published.name}, or --activation {runs} "
            "to keep it"
        )


def shape_of_weights(weights: dict[str, Any]) -> Shape | None:
    """Return the sizes that tensors by OpenCLIP's names show; None for weights of any other kind of model."""
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
    """Return the names of OpenCLIP's models of that shape, those with OpenAI's activation last."""
    if shape is None:
        return []
    open_clip = need("open_clip", extra="pathgen")
    names = [name for name in open_clip.list_models() if _shape_of_config(open_clip.get_model_config(name)) == shape]
    return sorted(names, key=lambda name: (name.endswith(QUICK_SUFFIX), len(name), name))


def _layers(weights: dict[str, Any], prefix: str) -> int:
    return len({key[len(prefix) :].partition(".")[0] for key in weights if key.startswith(prefix)})


def _shape_of_config(config: dict[str, Any]) -> Shape | None:
    """Return the sizes of a ``model_cfg``; None for models with other towers than two plain transformers."""
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
