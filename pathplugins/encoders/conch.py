"""CONCH's image side: a vision transformer whose tokens one learnt query attends to.

Written from the published description of the model (https://github.com/mahmoodlab/CONCH). The features are those its
authors advise for patches: after the pooler, before the projection to text, not normalised.

Axes: B patches, N tokens, C width of the transformer, D width of the features.
"""

from __future__ import annotations

from typing import Any

from pathplugins.core.optional import need

torch = need("torch")
timm = need("timm")
nn = torch.nn


class AttentionalPooler(nn.Module):
    """One learnt query that attends to all tokens."""

    def __init__(self, width: int, token_width: int, heads: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, width))
        self.attn = nn.MultiheadAttention(width, heads, kdim=token_width, vdim=token_width, batch_first=True)
        self.ln_q = nn.LayerNorm(width)
        self.ln_k = nn.LayerNorm(token_width)

    def forward(self, tokens: Any) -> Any:
        """Return ``[B, D]`` of tokens ``[B, N, C]``."""
        keys = self.ln_k(tokens)  # [B, N, C]
        query = self.ln_q(self.query).expand(len(tokens), 1, -1)  # [B, 1, D]
        return self.attn(query, keys, keys, need_weights=False)[0][:, 0]  # [B, D]


class ConchVision(nn.Module):
    """Transformer, pooler, layer norm; the names of the parts are those of the published weights."""

    def __init__(self, trunk: Any, *, width: int, heads: int) -> None:
        super().__init__()
        self.num_features = width
        self.trunk = trunk
        self.attn_pool_contrast = AttentionalPooler(width, trunk.num_features, heads)
        self.ln_contrast = nn.LayerNorm(width)

    def forward(self, pixels: Any) -> Any:
        """Return features ``[B, D]`` of normalised patches ``[B, 3, H, W]``."""
        tokens = self.trunk.forward_features(pixels)  # [B, N, C]
        return self.ln_contrast(self.attn_pool_contrast(tokens))  # [B, D]


def conch_vision(architecture: str, *, pooler_width: int, pooler_heads: int, **trunk: Any) -> ConchVision:
    """Build an untrained model around timm's ``architecture``."""
    model = timm.create_model(architecture, pretrained=False, num_classes=0, **trunk)
    return ConchVision(model, width=pooler_width, heads=pooler_heads)
