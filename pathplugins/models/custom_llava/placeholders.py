"""Placeholders: where vision tokens stand in the text, and which image belongs to which sample.

Axes: B samples, T text positions, H width of the language model.
"""

from __future__ import annotations

from torch import Tensor


def owned_images(slots: list[int], tokens: list[int]) -> list[list[int]]:
    """Images of every sample, in order.

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
            raise ValueError(_mismatch(f"sample {sample} of the batch", slots, tokens))
        owned.append(mine)
    if image < len(tokens):
        raise ValueError(_mismatch(f"image {image} of the batch", slots, tokens))
    return owned


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


def _mismatch(where: str, slots: list[int], tokens: list[int]) -> str:
    return (
        f"placeholders and vision tokens do not meet at {where}: {sum(slots)} image placeholders (per sample {slots}) "
        f"but {sum(tokens)} vision tokens (per image {tokens}); was a text truncated by cutoff_len, or are processor "
        "and model of two directories?"
    )
