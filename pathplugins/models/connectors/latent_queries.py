"""ANTONI-Alpha's connector: learnt queries look at all tokens of an image, which becomes as many tokens as queries.

Axes: I images, N tokens of one image, R queries, C vision width, H width of the language model, h heads, g heads of
keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.dtypes import LayerNorm, like_weight


class LatentQueriesConnector(nn.Module):
    """One cross-attention of R learnt queries to the N tokens of an image, then a LayerNorm (ANTONI-Alpha, MIDL 2026).

    ``y = Wo softmax(Q K^T / sqrt(C / h)) V``, where queries and keys stay C wide and values are already H wide;
    optionally ``y + w2 gelu(w1 y)``; then LayerNorm. No linear has a bias, nothing is added to the queries, and the
    tokens are not normalised. An image's tokens never see those of another: images of different length are padded
    under a mask that lets only their own tokens take part.

    Costs, in multiply-adds per image: ``N C (C g/h + H g/h) + R C^2 + R N (C + H) + R H^2``; of a slide of 513 tokens
    as released (R 256, C 1280, H 2560, h = g = 8) 5.2e9.

    Source: https://github.com/computationalpathologygroup/ANTONI-Alpha at c33bf99, whose weights fit by name; there
    the mask is the wrong way round, and its bags are all of one length. The computation follows it, no code does.

    Args:
        in_features: C, a multiple of ``num_attention_heads``.
        out_features: H, a multiple of ``num_attention_heads``.
        num_queries: R, tokens of an image whatever its size.
        num_attention_heads: h.
        num_key_value_heads: g, a divisor of h: head i of the queries reads that of number ``i // (h / g)``. All h when
            None.
        ffn_width: width between the two linears of the optional feed-forward part; None leaves it out.
        dropout: of attention weights, while training.
    """

    per_image = True
    extra_tokens = 0

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        num_queries: int = 256,
        num_attention_heads: int = 8,
        num_key_value_heads: int | None = None,
        ffn_width: int | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        groups = num_attention_heads if num_key_value_heads is None else num_key_value_heads
        counts = {"num_queries": num_queries, "num_attention_heads": num_attention_heads, "num_key_value_heads": groups}
        for name, value in {**counts, "ffn_width": 1 if ffn_width is None else ffn_width}.items():
            if value < 1:
                raise PathPluginsError(f"{name} must be at least 1, got {value}")
        if num_attention_heads % groups:
            raise PathPluginsError(
                f"num_key_value_heads {groups} does not divide num_attention_heads {num_attention_heads}; set a divisor"
            )
        for what, width in (("vision tokens", in_features), ("language model", out_features)):
            if width % num_attention_heads:
                raise PathPluginsError(
                    f"the {what}, {width} wide, cannot be shared among num_attention_heads={num_attention_heads}; set "
                    "it to a number that divides the width"
                )
        self.heads, self.groups, self.dropout = num_attention_heads, groups, dropout
        self.query_tokens = nn.Parameter(torch.empty(1, num_queries, in_features))
        self.q_proj = nn.Linear(in_features, in_features, bias=False)
        self.k_proj = nn.Linear(in_features, in_features // self.heads * groups, bias=False)
        self.v_proj = nn.Linear(in_features, out_features // self.heads * groups, bias=False)
        self.out_proj = nn.Linear(out_features, out_features, bias=False)
        self.ffn = None if ffn_width is None else FeedForward(out_features, ffn_width)
        self.layer_norm = LayerNorm(out_features)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start as published: linears as PyTorch's, queries uniform and so small that all begin nearly equal."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_uniform_(module.weight, a=5**0.5)
        nn.init.xavier_uniform_(self.query_tokens)  # of three axes: fan in R C, fan out C

    @property
    def fixed_tokens(self) -> int:
        """Tokens of an image, R."""
        return self.query_tokens.shape[1]

    def forward(self, tokens: Tensor, counts: Sequence[int], places: Sequence[int] | None = None) -> Tensor:
        """Let the queries look at each image.

        Args:
            tokens: Packed tokens ``[sum N, C]``, any float type.
            counts: Tokens of each image, at least 1.
            places: Number of each image within its sample, which makes no difference here.

        Returns:
            ``[I R, H]``.
        """
        counts = [*counts]
        if not counts or min(counts) < 1 or sum(counts) != len(tokens):
            raise ValueError(f"counts {counts} (each at least 1) must add up to the {len(tokens)} tokens of the batch")
        tokens = like_weight(tokens, self.q_proj)
        q = self.q_proj(self.query_tokens.to(tokens.dtype)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = (self._per_image(part(tokens), counts) for part in (self.k_proj, self.v_proj))  # [I, h, N, C/h], H/h
        mixed = F.scaled_dot_product_attention(
            q.expand(len(counts), -1, -1, -1).to(k.dtype),  # [I, h, R, C/h]
            k,
            v,
            attn_mask=_own(counts, tokens.device),
            dropout_p=self.dropout if self.training else 0.0,
        )
        y = self.out_proj(mixed.transpose(1, 2).flatten(2))  # [I, R, H]
        if self.ffn is not None:
            y = y + self.ffn(y)
        return self.layer_norm(y).flatten(0, 1)

    def _per_image(self, packed: Tensor, counts: list[int]) -> Tensor:
        """Return keys or values ``[sum N, g D]`` as ``[I, h, N, D]``, shorter images filled up with zeros."""
        padded = pad_sequence(list(packed.split(counts)), batch_first=True)  # [I, N, g D]
        heads = padded.unflatten(-1, (self.groups, -1)).transpose(1, 2)  # [I, g, N, D]
        return heads if self.groups == self.heads else heads.repeat_interleave(self.heads // self.groups, 1)


class FeedForward(nn.Module):
    """Two linears without bias and an exact GELU between them."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Linear(width, inner, bias=False), nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., H]`` to ``[..., H]``."""
        return self.w2(F.gelu(self.w1(x)))


def _own(counts: list[int], device: torch.device) -> Tensor | None:
    """Return ``[I, 1, 1, N]``, True where there is a token; None where all images are of one length."""
    if min(counts) == max(counts):
        return None
    lengths = torch.tensor(counts, device=device)
    return (torch.arange(max(counts), device=device) < lengths[:, None])[:, None, None]
