"""Connector of PathoSynVLM: LayerNorm, MLP, LayerNorm, with a learnt marker before the rows of each slide of a case."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.dtypes import LayerNorm, like_weight


class NormMLPConnector(nn.Module):
    """``post_ln(mlp(pre_ln(rows)))``; with markers, ``wsi_index_emb[k] + wsi_sep`` stands before the rows of slide k.

    Names of the weights are the published ones. Slides are counted within their sample.

    Source: https://github.com/AtlasAnalyticsLab/PathoSynVLM at 9138f95; the computation follows it, no code does. There
    a case has 32 slides at most, too, and the rows of later ones are lost; here that is an error.

    Args:
        in_features: C, width of the vision tokens.
        out_features: H, width of the language model.
        hidden_multiple: width between the two linears, in multiples of H.
        dropout: after the activation, while training.
        slide_markers: put a marker before the rows of each slide.
        slide_numbers: markers tell which slide it is; else all are ``wsi_sep``.
        max_slides: slides of a sample for which there are markers.
    """

    per_image = True
    may_start_anew = ("wsi_index_emb", "wsi_sep")
    """Weights that a file may lack: a connector that was aligned without markers gets new ones."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        hidden_multiple: int = 4,
        dropout: float = 0.0,
        slide_markers: bool = False,
        slide_numbers: bool = True,
        max_slides: int = 32,
    ) -> None:
        super().__init__()
        for name, value in (("hidden_multiple", hidden_multiple), ("max_slides", max_slides)):
            if value < 1:
                raise PathPluginsError(f"{name} must be at least 1, got {value}")
        inner = hidden_multiple * out_features
        self.pre_ln = LayerNorm(in_features)
        layers = (nn.Linear(in_features, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, out_features))
        self.mlp = nn.Sequential(*layers)
        self.post_ln = LayerNorm(out_features)
        self.extra_tokens = int(slide_markers)
        """Tokens more that come out for each slide than went in."""
        self.max_images = max_slides if slide_markers and slide_numbers else None
        """Slides that a sample may have, None for any number."""
        if slide_markers:
            self.wsi_sep = nn.Parameter(torch.zeros(out_features))
        if slide_markers and slide_numbers:
            self.wsi_index_emb = nn.Parameter(torch.zeros(max_slides, out_features))

    def reset_parameters(self) -> None:
        """Draw the markers anew. Only the bare parameters: the host initialises the layers."""
        if self.extra_tokens:
            nn.init.normal_(self.wsi_sep, std=0.02)
        if self.max_images:
            nn.init.normal_(self.wsi_index_emb)

    def forward(self, tokens: Tensor, counts: Sequence[int], places: Sequence[int]) -> Tensor:
        """Map the rows of all slides of a batch.

        Args:
            tokens: ``[sum N, C]``.
            counts: rows of each slide.
            places: which slide of its own sample each is, counted from 0.

        Returns:
            ``[sum N, H]``, with markers ``[sum (1 + N), H]``.
        """
        x = self.pre_ln(like_weight(tokens, self.mlp[0]))  # [sum N, C]
        x = self.post_ln(self.mlp(x))  # [sum N, H]
        if not self.extra_tokens:
            return x
        pieces = []
        for rows, marker in zip(x.split([*counts]), self._markers([*places]).to(x.dtype), strict=True):
            pieces += [marker[None], rows]
        return torch.cat(pieces)

    def _markers(self, places: list[int]) -> Tensor:
        """Return the markers of slides, ``[I, H]``."""
        if self.max_images is None:
            return self.wsi_sep.expand(len(places), -1)
        if places and max(places) >= self.max_images:
            raise PathPluginsError(
                f"a sample has {max(places) + 1} slides, there are markers for {self.max_images}; give it fewer, "
                "or compose anew with a larger max_slides in projector_config"
            )
        return self.wsi_index_emb[places] + self.wsi_sep
