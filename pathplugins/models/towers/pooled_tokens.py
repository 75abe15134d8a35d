"""Pool the tokens of a slide encoder to a fixed number of rows, as the official WSI-LLaVA (ICCV 2025) feeds them.

Row i is the mean of tokens ``floor(i N / rows)`` to ``ceil((i + 1) N / rows)``, in the order of the tiles: rows know
nothing of places on the slide, and a slide of fewer tokens than rows repeats them. Then the encoder's outer ``norm``,
then zero channels. Source: yu5-kim/WSI-LLaVA at 8714afc; the author's own text pads before the norm, which cannot run.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from pathplugins.core.errors import PathPluginsError

ROWS = 576
"""Tokens of an image in LLaVA-1.5, whose place the rows take."""
WIDTH = 1024
"""Channels of CLIP's tokens in LLaVA-1.5, which its connector takes."""


def pooled_tokens(tokens: Tensor, norm: Callable[[Tensor], Tensor], *, rows: int = ROWS, width: int = WIDTH) -> Tensor:
    """Return ``[rows, width]`` of a slide's tokens.

    Args:
        tokens: ``[N, C]`` behind the encoder's last layer, without the class token, before ``norm``.
        norm: The encoder's outer normalisation, ``[rows, C]`` to ``[rows, C]``.
        rows: Rows wanted.
        width: Channels wanted, at least C; those beyond C are zero.
    """
    channels = tokens.shape[1]
    if width < channels:
        raise PathPluginsError(f"tokens are {channels} wide, {width} channels are wanted; ask for {channels} or more")
    means = F.adaptive_avg_pool1d(tokens.T[None], rows)[0].T  # [rows, C]
    return F.pad(norm(means), (0, width - channels))  # [rows, width]
