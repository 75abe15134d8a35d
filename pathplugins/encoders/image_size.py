"""Give an encoder a larger or smaller input: its position embeddings are resized, as timm does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import need
from pathplugins.encoders.build import build_model
from pathplugins.encoders.hub_folder import from_timm
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.preprocessing import Preprocess

POSITIONS = "pos_embed"
"""Name of the one weight that depends on the size of the image."""


def preprocessing_of(card: EncoderCard) -> Preprocess:
    """Return the preprocessing of a card, or what timm records for its model."""
    if card.preprocess is not None:
        return card.preprocess
    return from_timm(need("timm").data.resolve_model_data_config(_without_memory(card)))


def at_side(card: EncoderCard, side_px: int) -> EncoderCard:
    """Return the card for images of ``side_px`` pixels; the share of the crop stays.

    Raises:
        PathPluginsError: the side is no multiple of the encoder's patches.
    """
    known = preprocessing_of(card)
    preprocess = replace(known, resize_px=round(known.resize_px * side_px / known.crop_px), crop_px=side_px)
    patches = getattr(_trunk(_without_memory(card)), "patch_embed", None)
    if not hasattr(patches, "grid_size"):  # convolutions take any size
        return replace(card, preprocess=preprocess)
    if side_px % patches.patch_size[0]:
        down, patch = side_px // patches.patch_size[0], patches.patch_size[0]
        raise PathPluginsError(
            f"image size {side_px} is no multiple of the {patch} px patches of {card.name}; take {down * patch} or "
            f"{(down + 1) * patch}"
        )
    return replace(card, preprocess=preprocess, timm_kwargs={**card.timm_kwargs, "img_size": side_px})


def resized_state(source: Any, target: Any) -> tuple[dict[str, Any], str]:
    """Return the weights of ``source`` for ``target``, the same model for another image size.

    Args:
        source: model with weights.
        target: model whose weights are wanted.

    Returns:
        A state dict, and what was resized, empty where nothing was.

    Raises:
        PathPluginsError: more than the position embeddings depends on the image size.
    """
    state, wanted, said = dict(source.state_dict()), target.state_dict(), ""
    for name, value in state.items():
        if value.shape == wanted[name].shape:
            continue
        if name.rpartition(".")[2] != POSITIONS:
            raise PathPluginsError(
                f"{name} depends on the image size ({list(value.shape)}, wanted {list(wanted[name].shape)}) and is no "
                "position embedding that can be resized; leave the image size out"
            )
        trunk = _trunk(target)
        old, new = _trunk(source).patch_embed.grid_size, trunk.patch_embed.grid_size
        state[name] = need("timm").layers.resample_abs_pos_embed(
            value, list(new), list(old), num_prefix_tokens=_prefixes(trunk)
        )
        said = f"position embeddings resized from {old[0]} x {old[1]} to {new[0]} x {new[1]}, bicubic"
    return state, said


def _prefixes(trunk: Any) -> int:
    """Return the tokens before the patches that have positions."""
    return 0 if getattr(trunk, "no_embed_class", False) else getattr(trunk, "num_prefix_tokens", 1)


def _trunk(model: Any) -> Any:
    return getattr(model, "trunk", model)


def _without_memory(card: EncoderCard) -> Any:
    with need("torch").device("meta"):
        return build_model(card)
