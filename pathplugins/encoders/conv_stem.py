"""CTransPath's first layers: convolutions in place of the cut into patches of timm's Swin.

Written from the published description (https://github.com/Xiyue-Wang/TransPath).

Axes: B pictures, C width of the tokens.
"""

from __future__ import annotations

from typing import Any

from pathplugins.core.optional import need

nn = need("torch").nn
timm = need("timm")

PATCH = 4
"""Pixels along one side of a token: two convolutions of stride 2."""


class ConvStem(nn.Module):
    """Two convolutions of stride 2 with batch norms, one of 1 x 1, a norm; names are those of the published weights."""

    def __init__(
        self,
        *,
        img_size: int | tuple[int, int],
        patch_size: int | tuple[int, int],
        in_chans: int,
        embed_dim: int,
        norm_layer: Any,
        **_: Any,  # of timm's own: what form of map it gives, which is always [B, h, w, C] here
    ) -> None:
        super().__init__()
        self.patch_size = timm.layers.to_2tuple(patch_size)
        if self.patch_size != (PATCH, PATCH):
            raise ValueError(f"ConvStem makes tokens of {PATCH} px, got patch_size {patch_size}")
        self.img_size = timm.layers.to_2tuple(img_size)
        self.grid_size = tuple(side // PATCH for side in self.img_size)
        layers: list[Any] = []
        width, wanted = in_chans, embed_dim // 8
        for _number in range(2):
            layers += [
                nn.Conv2d(width, wanted, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(wanted),
                nn.ReLU(inplace=True),
            ]
            width, wanted = wanted, 2 * wanted
        self.proj = nn.Sequential(*layers, nn.Conv2d(width, embed_dim, 1))
        self.norm = norm_layer(embed_dim) if norm_layer else nn.Identity()

    def forward(self, pixels: Any) -> Any:
        """Return tokens ``[B, H / 4, W / 4, C]`` of normalised pictures ``[B, 3, H, W]``."""
        return self.norm(self.proj(pixels).permute(0, 2, 3, 1))
