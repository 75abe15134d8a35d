"""CTransPath's first layers: shapes and refusals; values are compared in test_vision_layouts."""

from __future__ import annotations

import pytest

from pathplugins.encoders.conv_stem import ConvStem

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("side", [32, (32, 48)])
def test_a_token_is_four_pixels_wide(side: int | tuple[int, int]) -> None:
    stem = ConvStem(img_size=side, patch_size=4, in_chans=3, embed_dim=16, norm_layer=torch.nn.LayerNorm)
    assert stem.grid_size == ((8, 8) if side == 32 else (8, 12))
    assert stem(torch.rand(2, 3, 32, 48)).shape == (2, 8, 12, 16)
    assert [tuple(weight.shape[:2]) for name, weight in stem.named_parameters() if weight.ndim == 4] == [
        (2, 3),
        (4, 2),
        (16, 4),
    ]


def test_other_patches_are_refused() -> None:
    with pytest.raises(ValueError, match="tokens of 4 px, got patch_size 16"):
        ConvStem(img_size=32, patch_size=16, in_chans=3, embed_dim=16, norm_layer=None)
