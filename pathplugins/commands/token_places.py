"""Token places: which patch of a slide, or which part of an image, each vision token of an opened file stands for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.selection import Chosen, Patches, chosen_of, locate
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.images import image_size
from pathplugins.models.custom_llava.opened_image import KeptTokens, OpenedImage


class Box(NamedTuple):
    """Where a vision token lies, in pixels of level 0 of a slide, or of an image as its file stores it."""

    x: float
    """Left."""
    y: float
    """Top."""
    width: float
    height: float


class TokenPlaces(NamedTuple):
    """The vision tokens of an opened file; V of them."""

    boxes: list[Box | None]
    """[V]; None for a token that is no place: a slide's marker or CLS token, one that stands for all dropped patches,
    padding around an image."""
    chosen: Chosen | None
    """What the selector did with the patches that were read; None for an image."""
    patches: Patches | None
    """All patches of the bag; None for an image."""


def token_places(model: LoadedModel, opened: OpenedImage, prompt: str, *, slide: Path | None = None) -> TokenPlaces:
    """Return where the vision tokens of an opened file lie, in their order.

    A token is where its first layer read it. Every encoder mixes tokens, and so do `prumerge`, which adds what it drops
    to what it keeps, and the connector `scale_invariant`, whose tokens are those of the thumbnail with what they took
    from anywhere in the tiles.

    Args:
        model: of `load_model`.
        opened: of `open_file`, with the same model.
        prompt: the question as it is asked; of a selector that looks at it (``prompt_topk``) the tokens depend on it.
        slide: the slide of a bag, needed where the bag stores microns and not the size of a pixel.

    Raises:
        PathPluginsError: the bag does not say where its patches lie, or the tokens of the image have no single place.
    """
    if (fixed := model.processor.image_processor.connector_tokens) is not None:
        raise PathPluginsError(
            f"{opened.path}: the model's connector makes {fixed} tokens of all that it is shown, so none of them is a "
            "place; nothing is drawn"
        )
    kept = opened.kept(prompt)
    if model.reads == "images":
        return TokenPlaces(_of_image(model.processor, opened.path, kept), None, None)
    reader: Any = model.processor.image_processor
    patches = locate(opened.path, slide)
    rows = reader.rows_read(opened.path)
    side = patches.size_px0
    taken = patches.coords_xy[rows[kept.indices.cpu().numpy()]].tolist()
    before = [None] * (reader.extra_tokens + int(reader.slide_token))
    boxes: list[Box | None] = [*before, *(Box(x, y, side, side) for x, y in taken)]
    return TokenPlaces(_filled(boxes, kept.count), chosen_of(rows, kept), patches)


def _of_image(processor: Any, path: Path, kept: KeptTokens) -> list[Box | None]:
    reader = processor.image_processor
    per_tile, merged = reader.tokens_per_tile, reader.merged_tiles
    n = math.isqrt(per_tile)
    if n * n != per_tile:
        raise PathPluginsError(
            f"{path}: the vision tower gives {per_tile} tokens, which are no square grid, so nobody knows where they "
            "lie in the image"
        )
    size = w, h = image_size(path)
    if reader.image_aspect_ratio == "pad":
        side = max(size)
        grid, left, top = (side, side), (side - w) // 2, (side - h) // 2
    elif reader.image_aspect_ratio == "square":
        px = reader.tile_size
        resized = [px * length // min(size) for length in size]  # and px of each are kept, in the middle
        grid = tuple(px * length / new for length, new in zip(size, resized, strict=True))
        left, top = (-((new - px) // 2) * length / new for length, new in zip(size, resized, strict=True))
    elif merged:
        grid, left, top = size, 0, 0  # the thumbnail is the whole image, whatever its shape
    else:
        raise PathPluginsError(
            f"{path}: this model reads every place of an image twice, in the thumbnail and in a tile (anyres without a "
            "connector that merges them), so the attention to a place is no one number; nothing is drawn"
        )
    boxes: list[Box | None] = []
    for index in kept.indices.tolist():
        x, y = (index % n * grid[0] / n - left, index // n * grid[1] / n - top)
        right, bottom = min(x + grid[0] / n, w), min(y + grid[1] / n, h)
        x, y = max(x, 0.0), max(y, 0.0)
        boxes.append(Box(x, y, right - x, bottom - y) if right > x and bottom > y else None)
    return _filled(boxes, kept.count)


def _filled(boxes: list[Box | None], count: int) -> list[Box | None]:
    """Return boxes of all vision tokens; a selector that adds a token, which is no candidate, adds it at the end."""
    return boxes + [None] * (count - len(boxes))
