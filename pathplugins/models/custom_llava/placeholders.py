"""Placeholders: where vision tokens stand in the text, and which image belongs to which sample.

Axes: B samples, T text positions, H width of the language model.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.packed_rows import IGNORED, least


def owned_images(slots: list[int], tokens: list[int]) -> list[list[int]]:
    """Return the images of every sample, in order.

    Args:
        slots: placeholders per sample.
        tokens: vision tokens per image of the batch.
    """
    owned, image = [], 0
    for sample, left in enumerate(slots):
        mine = []
        while left > 0 and image < len(tokens):
            mine.append(image)
            left -= tokens[image]
            image += 1
        if left:
            raise PathPluginsError(_mismatch(f"sample {sample} of the batch", slots, tokens))
        owned.append(mine)
    if image < len(tokens):
        raise PathPluginsError(_mismatch(f"image {image} of the batch", slots, tokens))
    return owned


def unread_images(slots: list[int], read: list[int], tokens: list[int]) -> list[int]:
    """Return the images of a batch that a step reads: all, or the last of each sample where a cache has the first.

    Args:
        slots: placeholders per sample.
        read: how many of them are among the ids of the step.
        tokens: vision tokens per image of the batch.
    """
    images = []
    for mine, most, left in zip(owned_images(slots, tokens), slots, read, strict=True):
        later = [image for place, image in enumerate(mine) if sum(tokens[i] for i in mine[place:]) <= left]
        if sum(tokens[image] for image in later) != left:
            raise PathPluginsError(
                f"a step of generation reads {left} of {most} image placeholders, which is no whole number of images "
                f"(tokens per image {tokens}); remove prefill_chunk_size, or the cache"
            )
        images += later
    return images


def splice(embeds: Tensor, is_image: Tensor, features: Tensor, tokens: list[int]) -> Tensor:
    """Put vision tokens at the placeholders, in order.

    Args:
        embeds: [B, T, H].
        is_image: [B, T].
        features: [sum of tokens, H].
        tokens: how many of them each image has.
    """
    owned_images(is_image.sum(1).tolist(), tokens)
    return embeds.masked_scatter(is_image[..., None].expand_as(embeds), features.to(embeds.dtype))  # [B, T, H]


def unused(is_image: Tensor, slots: list[int], tokens: list[int]) -> Tensor:
    """Return the placeholders beyond the vision tokens of each image.

    They are the first of each image's: what follows it is then predicted from its last token, as without them.

    Args:
        is_image: [B, T].
        slots: placeholders per image.
        tokens: vision tokens per image, at most as many.

    Returns:
        [B, T] bool.
    """
    owned_images(is_image.sum(1).tolist(), slots)
    each = zip(slots, tokens, strict=True)
    left = torch.cat([torch.arange(most, device=is_image.device) < most - count for most, count in each])
    surplus = torch.zeros_like(is_image)
    surplus[is_image] = left
    return surplus


def pack_to_left(embeds: Tensor, seen: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Leave out the positions nobody sees: [B, T, H], [B, T], [B, T] to the same with a smaller T.

    Shorter rows are padded on the right, with label -100. ``seen`` is 0 where nobody sees, else as in `packed_rows`.
    """
    kept = seen.ne(0)
    length = int(kept.sum(1).max())
    order = kept.int().argsort(dim=1, descending=True, stable=True)[:, :length]  # [B, T']
    packed = embeds.gather(1, order[..., None].expand(-1, -1, embeds.shape[-1]))
    seen = seen.gather(1, order)
    return packed, seen, labels.gather(1, order).masked_fill(seen.eq(0), IGNORED)


def hidden(attention_mask: Tensor | None, surplus: Tensor) -> Tensor:
    """Return the attention mask [B, T] with ``surplus`` [B, T] bool hidden; all else is seen where it is None."""
    if attention_mask is None:
        return (~surplus).long()
    if attention_mask.shape != surplus.shape:
        raise PathPluginsError(
            f"prumerge_adaptive needs an attention mask {tuple(surplus.shape)}, one entry a token, got "
            f"{tuple(attention_mask.shape)}; rows of several samples are told by position_ids that begin anew"
        )
    return attention_mask.masked_fill(surplus, 0)


def positions_of(attention_mask: Tensor) -> Tensor:
    """Return the position of every token among those seen, [B, T]; hidden tokens get one that exists.

    Where rows hold several samples, the mask is their numbers (`packed_rows`) and positions begin with each.
    """
    numbers = attention_mask.long()
    places = numbers.ne(0).long().cumsum(1) - 1
    return (places - least(places, numbers)).clamp_min(0)


def _mismatch(where: str, slots: list[int], tokens: list[int]) -> str:
    return (
        f"placeholders and vision tokens do not meet at {where}: {sum(slots)} image placeholders (per sample {slots}) "
        f"but {sum(tokens)} vision tokens (per image {tokens}); was a text truncated by cutoff_len or a "
        "prompt read in pieces (prefill_chunk_size), or are processor and model of two directories?"
    )
