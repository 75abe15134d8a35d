"""Every head gives logits of every pixel, on encoders with and without a map of half the size."""

from __future__ import annotations

import pytest
import timm
import torch

from pathplugins.classify.networks.encoder import build_encoder
from pathplugins.classify.networks.segmenter import Segmenter, TokenDecoder, build_segmenter
from pathplugins.classify.options import ClassifyArguments
from pathplugins.core.errors import PathPluginsError


def built(encoder: str, head: str, side: int = 64) -> Segmenter:
    options = ClassifyArguments(
        recipe="segment", data="d", encoder=encoder, head=head, random_weights=0, image_size=side
    )
    return build_segmenter(build_encoder(options), head, 5)


@pytest.mark.parametrize(
    ("encoder", "head"),
    [
        *(("test_resnet", head) for head in ("deeplabv3plus", "fpn", "unet")),
        *(("test_convnext", head) for head in ("deeplabv3plus", "fpn", "unet")),
        *(("test_efficientnet", "deeplabv3plus"), ("test_vit", "tokens")),
    ],
)
def test_logits_of_every_pixel(encoder: str, head: str) -> None:
    network = built(encoder, head).eval()
    torch.manual_seed(0)
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        logits = network(pixels)
        assert logits.shape == (2, 5, 64, 64)
        changed = pixels.clone()
        changed[:, :, :16, :16] += 3
        moved = (network(changed) - logits).abs().mean((0, 1))  # [S, S]: most where the picture changed
        assert moved[:16, :16].mean() > moved[-16:, -16:].mean()


def test_the_decoder_of_a_vit_reads_blocks_up_to_the_last() -> None:
    assert built("test_vit", "tokens").blocks == [1, 2, 3, 5] or built("test_vit", "tokens").blocks[-1] == 5


def test_the_norm_that_stands_behind_the_mean_is_that_of_the_tokens() -> None:
    """The same weights with either place of the norm give the same logits."""
    options = {"num_classes": 0, "img_size": 48}
    usual = timm.create_model("test_vit", **options)
    torch.manual_seed(0)
    torch.nn.init.normal_(usual.norm.weight)
    moved = timm.create_model("test_vit", global_pool="avg", **options)
    moved.load_state_dict(
        {
            name.replace("norm.", "fc_norm.") if name[:5] == "norm." else name: value
            for name, value in usual.state_dict().items()
        }
    )
    decoder = TokenDecoder(usual.embed_dim, 2, classes=3)
    pixels = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        one, other = (Segmenter(model.eval(), decoder, blocks=[2, 5])(pixels) for model in (usual, moved))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("encoder", "head", "side", "message"),
    [
        ("test_vit", "fpn", 64, "test_vit is a ViT; set head: tokens"),
        ("test_resnet", "tokens", 64, "test_resnet is no ViT; set head: deeplabv3plus, fpn or unet"),
        ("test_resnet", "fpn", 72, "wants a multiple of 32; set 64 or 96"),
    ],
)
def test_heads_that_do_not_fit(encoder: str, head: str, side: int, message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        built(encoder, head, side)
