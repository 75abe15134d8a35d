"""Vision tokens of a batch: from what the tower gives to the candidates that the token selector chooses from.

Axes: I images, N patches of one bag or tokens of one tile, T tiles of all images, C tower width, H width of the
language model, [B, L] token ids of the text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.packed_rows import samples_of
from pathplugins.models.custom_llava.placeholders import owned_images
from pathplugins.models.custom_llava.questions import find_questions
from pathplugins.models.selectors.base import TokenSelector


def check_looking(tower: nn.Module, selector: TokenSelector) -> None:
    """Refuse a token selector that ranks by attention which the tower cannot show; no weights are needed for that.

    Raises:
        PathPluginsError: the tower has no class token, no such layer, or nothing to look with.
    """
    if not selector.needs_attention:
        return
    if not hasattr(tower, "attend"):
        raise PathPluginsError(
            f"{type(tower).__name__} has no attend(), by which a selector ranks by attention; set "
            "vision_feature_select_mode to none, random_sample or prompt_topk"
        )
    if hasattr(tower, "looking"):
        tower.looking(selector.layer)


def check_budget(tower: nn.Module, budget: int) -> None:
    """Refuse a token budget that leaves nothing of an image: only a slide token is kept beside it."""
    if budget < 1 and (tower.reads == "images" or not getattr(tower, "slide_token", True)):
        raise PathPluginsError(
            f"image_seq_length is {budget}: {type(tower).__name__} gives no slide token to keep, so nothing would be "
            "seen; give a positive number"
        )


def bag_candidates(tower: nn.Module, selector: TokenSelector, vision: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of `PackedCandidates`: the patches of each slide, encoded.

    Args:
        tower: reads bags.
        selector: says whether it looks at the attention of the class token.
        vision: the vision inputs of the model.
    """
    coords, counts = vision["patch_coords"], vision["patch_counts"]
    cls, tokens, *seen = _look(tower, selector, vision["patch_features"], coords, counts)  # [I, C], [sum N, C]
    seen = {"attention": seen[0].weights, "keys": seen[0].keys} if seen else {}
    return {"tokens": tokens, "coords": coords, "counts": counts.tolist(), "cls": cls, **seen}


def image_candidates(
    tower: nn.Module, selector: TokenSelector, vision: Mapping[str, Any], merge: nn.Module | None
) -> dict[str, Any]:
    """Return fields of `PackedCandidates`: the tokens of all tiles of each image, or those they were merged into.

    Args:
        tower: reads images.
        selector: says whether it looks at the attention of the class token.
        vision: the vision inputs of the model.
        merge: the connector, where it merges the tiles of an image; a token is then a place on the thumbnail, the
            first tile of each image.
    """
    tiles = vision["tile_counts"].tolist()
    _, tokens, *seen = _look(tower, selector, vision["pixel_values"])  # [T, N, C]
    seen = {"attention": seen[0].weights, "keys": seen[0].keys} if seen else {}
    if merge is not None:
        first = vision["tile_counts"].cumsum(0) - vision["tile_counts"]
        per_tile = {name: value.unflatten(0, tokens.shape[:2]) for name, value in seen.items()}
        seen = {name: value[first].flatten(0, 1) for name, value in per_tile.items()}
        tokens, tiles = merge(tokens, tiles), [1] * len(tiles)  # [I, N, H]
    counts = [count * tokens.shape[1] for count in tiles]
    return {"tokens": tokens.flatten(0, 1), "coords": token_places(tokens), "counts": counts, **seen}


def token_places(tokens: Tensor) -> Tensor:
    """Return the position of every token, its tile's squares side by side: [T, N, C] to [T N, 2] int64 (x, y)."""
    side = math.isqrt(tokens.shape[1])
    place = torch.arange(tokens.shape[0] * tokens.shape[1], device=tokens.device)
    tile, within = place // tokens.shape[1], place % tokens.shape[1]
    return torch.stack([tile * side + within % side, within // side], 1)


def question_embeddings(
    embed: nn.Module,
    input_ids: Tensor | None,
    attention_mask: Tensor | None,
    images: Sequence[int],
    *,
    image_token_id: int,
    marks: Mapping[str, Any] | None,
) -> Tensor:
    """Return the mean embedding of the question to every image, zeros for an image that stands in for none.

    Args:
        embed: token embedding of the language model.
        input_ids: [B, L].
        attention_mask: [B, L], all ones when None; the numbers of the samples where rows hold several (`packed_rows`).
        images: placeholders of each image of the batch.
        image_token_id: what stands for one vision token.
        marks: ``question_marks`` of the configuration.

    Returns:
        [I, H].

    Raises:
        PathPluginsError: there is no text, or the model does not say how its questions are marked.
    """
    if input_ids is None or marks is None:
        raise PathPluginsError(
            "this token selector looks at the question: pass input_ids, and take a model directory of 'pathplugins "
            "compose' (its config.json has question_marks)"
        )
    samples = samples_of(input_ids, attention_mask)
    slots = [ids.count(image_token_id) for ids, _ in samples]
    questions = []
    for (ids, mask), owned in zip(samples, owned_images(slots, [*images]), strict=True):
        questions += find_questions(ids, mask, image_token_id, [images[image] for image in owned], marks)
    flat = torch.tensor([token for question in questions for token in question], device=input_ids.device).long()
    with torch.no_grad():  # the question is looked up, not learnt: the embedding has its gradient from the text
        embeds = embed(flat)  # [tokens of all questions, H]
    each = embeds.split([len(question) for question in questions])
    return torch.stack([e.mean(0) if len(e) else e.new_zeros(e.shape[1]) for e in each])


def _look(tower: nn.Module, selector: TokenSelector, *inputs: Tensor) -> tuple[Any, ...]:
    """Return class tokens and tokens of the tower, and its class tokens' attention if the selector asks for it."""
    return tower.attend(*inputs, layer=selector.layer) if selector.needs_attention else tower(*inputs)
