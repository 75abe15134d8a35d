"""The interface of every token selector.

An image is a slide, whose tokens are its patches, or a picture, whose tokens are those of all its tiles. Tokens of
several images are packed along the first dimension: image i owns ``counts[i]`` consecutive rows. Axes: I images, N
tokens of one, K of them kept, C their width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The tokens of one image that a selector chooses from; a selector that needs more adds a field."""

    tokens: Tensor
    """[N, C]."""
    coords: Tensor
    """[N, 2] int64 positions; -1 where a bag has none and neither tower nor selector asks for them."""
    seed: int
    """The same seed chooses the same rows on every machine."""
    attention: Tensor | None = None
    """[N] float32: the class token's attention over the tokens, where the selector ``needs_attention``."""
    keys: Tensor | None = None
    """[N, C'] keys of the layer that attention is of."""
    prompt: Tensor | None = None
    """[H] mean embedding of the question, where the selector ``needs_prompt``."""


@dataclass(frozen=True, kw_only=True)
class PackedCandidates:
    """The tokens of several images, packed; the fields are those of `Candidates`."""

    tokens: Tensor
    """[sum N, C]."""
    coords: Tensor
    """[sum N, 2] int64."""
    counts: list[int]
    """N of each image."""
    seeds: list[int]
    """One per image."""
    cls: Tensor | None = None
    """[I, C] slide token of every image; it is always kept, and no selector sees it."""
    attention: Tensor | None = None
    """[sum N] float32."""
    keys: Tensor | None = None
    """[sum N, C']."""
    prompt: Tensor | None = None
    """[I, H]."""

    def __iter__(self) -> Iterator[Candidates]:
        """Yield the candidates of each image."""
        rows = {name: getattr(self, name) for name in ("tokens", "coords", "attention", "keys")}
        split = {name: value.split(self.counts) for name, value in rows.items() if value is not None}
        for index, seed in enumerate(self.seeds):
            prompt = None if self.prompt is None else self.prompt[index]
            yield Candidates(seed=seed, prompt=prompt, **{name: rows[index] for name, rows in split.items()})


class Kept(NamedTuple):
    """The tokens kept of one image."""

    indices: Tensor
    """[K] int64 rows of the candidates, ascending."""
    tokens: Tensor
    """[K, C]; one more row where a selector adds a token that is no candidate."""
    scores: Tensor | None = None
    """[N] float32: what every row was ranked by; None where nothing was ranked."""


class Selection(NamedTuple):
    """Chosen tokens of every image."""

    tokens: Tensor
    """[sum of counts, C], packed; the slide's CLS token first in each image where the tower has one."""
    indices: Tensor
    """[sum of kept] int64: rows kept, counted within each image, ascending; CLS is not listed."""
    counts: list[int]
    """Tokens per image, CLS included."""
    scores: Tensor | None = None
    """[sum N] float32: what the rows were ranked by, None for selectors that do not rank."""


class TokenSelector(nn.Module):
    """Base class: subclasses say which tokens of an image to keep and, from their number alone, how many.

    Args:
        vision_width: C.
        prompt_width: H, width of the language model's embeddings.
    """

    needs_attention: ClassVar[bool] = False
    needs_prompt: ClassVar[bool] = False
    adaptive: ClassVar[bool] = False
    """The tokens themselves say how many are kept; ``num_tokens`` is then the most."""
    needs_positions: ClassVar[bool] = False
    """Chooses by where the patches lie: a bag without positions cannot be used."""
    layer: int | None = None
    """Layer of the tower whose class token's attention is looked at; the last one that runs when None."""

    def __init__(self, vision_width: int, prompt_width: int) -> None:
        super().__init__()
        del vision_width, prompt_width

    @staticmethod
    def num_tokens(rows: int, budget: int) -> int:
        """Return the tokens given for ``rows`` candidates, CLS not counted. Known before a feature is read."""
        return min(rows, budget)

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Choose ``num_tokens(N, budget)`` tokens, or at most as many when ``adaptive``."""
        raise NotImplementedError

    def forward(self, images: PackedCandidates, budget: int) -> Selection:
        """Choose tokens of every image, each for itself; ``budget`` bounds them, CLS not counted."""
        kept = [self.select(candidates, budget) for candidates in images]
        chosen = [tokens for _, tokens, _ in kept]
        if images.cls is not None:
            chosen = [part for cls, tokens in zip(images.cls, chosen, strict=True) for part in (cls[None], tokens)]
        extra = 0 if images.cls is None else 1
        ranked = kept[0].scores is not None
        return Selection(
            tokens=torch.cat(chosen) if len(chosen) > 1 else chosen[0],  # a lone long slide is not copied
            indices=torch.cat([indices for indices, _, _ in kept]),
            counts=[len(tokens) + extra for _, tokens, _ in kept],
            scores=torch.cat([scores.detach() for _, _, scores in kept]) if ranked else None,
        )
