"""A patch encoder and a decoder that gives a mask: a convolutional one on feature maps, or one on a ViT's tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pathplugins.classify.networks.encoder import DILATED, Encoder, check_head
from pathplugins.classify.options import HeadName
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import need

LEVELS = 4  #: blocks of a ViT whose tokens the decoder reads, spread evenly, the last among them


class Segmenter(nn.Module):
    """Pixels in, logits of every pixel out.

    Args:
        encoder: a timm model.
        decoder: takes pixels and feature maps, the finest first.
        blocks: numbers of the ViT's blocks whose tokens are read; None: all maps of a convolutional encoder.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, blocks: list[int] | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = decoder
        self.blocks = blocks

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits ``[B, K, S, S]`` of normalised pixels ``[B, 3, S, S]``."""
        norm = self.blocks is not None  # that of a ViT, which its last layer alone would apply
        maps = self.encoder.forward_intermediates(pixels, indices=self.blocks, norm=norm, intermediates_only=True)
        if norm and isinstance(self.encoder.norm, nn.Identity):  # timm has moved it behind the mean of the tokens
            of_tokens = getattr(self.encoder, "fc_norm", nn.Identity())
            maps = [of_tokens(tokens.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) for tokens in maps]  # each [B, C, h, w]
        return self.head(pixels, maps)


class TokenDecoder(nn.Module):
    """Logits from the tokens of several blocks of a ViT: joined, twice convolved and upsampled.

    Args:
        width: C of the tokens.
        levels: number of blocks.
        classes: K.
        hidden: width of the decoder.
    """

    def __init__(self, width: int, levels: int, classes: int, hidden: int = 256) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.Conv2d(width * levels, hidden, 1), nn.GroupNorm(1, hidden), nn.GELU())
        self.refine = nn.Sequential(nn.Conv2d(hidden, hidden, 3, padding=1), nn.GroupNorm(1, hidden), nn.GELU())
        self.paint = nn.Conv2d(hidden, classes, 1)

    def forward(self, pixels: Tensor, maps: list[Tensor]) -> Tensor:
        """Return logits ``[B, K, S, S]`` of token maps, each ``[B, C, h, w]``."""
        joined = self.reduce(torch.cat(maps, dim=1))  # [B, hidden, h, w]
        larger = functional.interpolate(joined, scale_factor=4, mode="bilinear", align_corners=False)
        logits = self.paint(self.refine(larger))  # [B, K, 4 h, 4 w]
        return functional.interpolate(logits, size=pixels.shape[-2:], mode="bilinear", align_corners=False)


class MapDecoder(nn.Module):
    """The decoder of segmentation_models_pytorch called ``name``, without the encoder it builds.

    Args:
        name: ``deeplabv3plus``, ``fpn`` or ``unet``.
        encoder: the timm model whose maps it gets.
        classes: K.
    """

    def __init__(self, name: HeadName, encoder: Encoder, classes: int) -> None:
        super().__init__()
        smp = need("segmentation_models_pytorch", extra="patchtcga")
        stride = {"encoder_output_stride": DILATED[name]} if name in DILATED else {}
        whole = smp.create_model(
            name, encoder_name=f"tu-{encoder.architecture}", encoder_weights=None, classes=classes, **stride
        )
        self.channels = list(whole.encoder.out_channels)
        self.stride = whole.encoder.output_stride
        self.decoder, self.paint = whole.decoder, whole.segmentation_head

    def forward(self, pixels: Tensor, maps: list[Tensor]) -> Tensor:
        """Return logits ``[B, K, S, S]``; ``maps`` have strides 2 or 4 to 32, or to the encoder's stride."""
        if len(maps) == len(self.channels) - 2:  # no map of half the size: the decoders take one of no channels there
            half = pixels.new_empty(len(pixels), 0, pixels.shape[-2] // 2, pixels.shape[-1] // 2)
            maps = [half, *maps]
        return self.paint(self.decoder([pixels, *maps]))


def build_segmenter(encoder: Encoder, head: HeadName, classes: int) -> Segmenter:
    """Return a segmenter with a new decoder, which takes pictures of the encoder's size.

    Raises:
        PathPluginsError: a head of ViTs on a convolutional encoder or the reverse, or a picture size that does not fit.
    """
    check_head(head, encoder.architecture, tokens=encoder.tokens)
    if head == "tokens":
        depth = len(encoder.model.blocks)
        blocks = sorted({round((level + 1) * depth / LEVELS) - 1 for level in range(LEVELS)} - {-1})
        return Segmenter(encoder.model, TokenDecoder(encoder.width, len(blocks), classes), blocks=blocks)
    decoder: Any = MapDecoder(head, encoder, classes)
    side = encoder.preprocess.crop_px
    if side % decoder.stride:
        below = side // decoder.stride * decoder.stride
        raise PathPluginsError(
            f"image_size {side}: head {head} wants a multiple of {decoder.stride}; set {below or decoder.stride} or "
            f"{below + decoder.stride}"
        )
    return Segmenter(encoder.model, decoder)
