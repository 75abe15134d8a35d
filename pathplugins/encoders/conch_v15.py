"""CONCH v1.5's image side: a ViT-L whose tokens one learnt query attends to, through projections without biases.

Written from the published description of the model (TITAN's and TRIDENT's loaders of it). Its position embeddings lie
in the file for 224 px and are resized to 448 px by DINO's rule (`pathplugins.encoders.positions`).

Axes: B patches, N tokens, C width of the transformer, D width of the features, h heads.
"""

from __future__ import annotations

from typing import Any

from pathplugins.core.optional import need

torch = need("torch")
timm = need("timm")
nn = torch.nn


class BiaslessPooler(nn.Module):
    """One learnt query that attends to all tokens; no projection has a bias."""

    def __init__(self, width: int, token_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.randn(1, width))
        self.ln_k = nn.LayerNorm(token_width)
        self.ln_q = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_kv = nn.Linear(token_width, 2 * width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)

    def forward(self, tokens: Any) -> Any:
        """Return ``[B, D]`` of tokens ``[B, N, C]``."""
        query = self.to_q(self.ln_q(self.query)).expand(len(tokens), 1, -1)  # [B, 1, D]
        keys, values = self.to_kv(self.ln_k(tokens)).chunk(2, dim=-1)  # each [B, N, D]
        query, keys, values = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (query, keys, values))
        mixed = nn.functional.scaled_dot_product_attention(query, keys, values)  # [B, h, 1, D / h]
        return self.to_out(mixed.flatten(1))  # [B, D]


class ConchV15Vision(nn.Module):
    """Transformer, pooler, layer norm; the names of the parts are those of the published weights."""

    def __init__(self, trunk: Any, *, width: int, heads: int) -> None:
        super().__init__()
        self.num_features = width
        self.trunk = trunk
        self.attn_pool_contrast = BiaslessPooler(width, trunk.num_features, heads)
        self.ln_contrast = nn.LayerNorm(width)

    def forward(self, pixels: Any) -> Any:
        """Return features ``[B, D]`` of normalised patches ``[B, 3, H, W]``."""
        tokens = self.trunk.forward_features(pixels)  # [B, N, C]
        return self.ln_contrast(self.attn_pool_contrast(tokens))  # [B, D]


def conch_v15_vision(architecture: str, *, pooler_width: int, pooler_heads: int, **trunk: Any) -> ConchV15Vision:
    """Build an untrained model around timm's ``architecture``."""
    model = timm.create_model(architecture, pretrained=False, num_classes=0, **trunk)
    return ConchV15Vision(model, width=pooler_width, heads=pooler_heads)
