"""Features of weights as they lie in a file, by code that our reader does not share: to check an import by numbers.

A ResNet runs as torchvision's own model, a plain vision transformer by its formulas here.

Axes: B pictures, N tokens, C width, h heads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pathplugins.core.optional import need
from pathplugins.published.encoder_card import EncoderCard

DILATED = {32: [False, False, False], 16: [False, False, True], 8: [False, True, True]}
"""timm's ``output_stride`` -> torchvision's stages with dilation in place of stride."""
PLAIN = {"img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio"}
"""Arguments of timm's ViT that change no formula."""
BLOCK = re.compile(r"blocks\.\d+\.attn\.qkv\.weight$")
EPSILON = 1e-6
"""Of the layer norms of DINO, MAE and timm's ViT."""


def reference_features(card: EncoderCard, state: Mapping[str, Any], pixels: Any) -> tuple[Any, str] | None:
    """Return features ``[B, D]`` and whose code computed them; None where none is known for the architecture.

    Args:
        card: of the encoder.
        state: its weights by the names of the file, without prefix; more may be in it.
        pixels: normalised pictures ``[B, 3, S, S]``.
    """
    if card.pool != "model" or card.family != "timm":
        return None
    if card.architecture in ("resnet18", "resnet34", "resnet50", "resnet101"):
        if card.timm_kwargs.keys() - {"output_stride"}:
            return None
        return _resnet(card, state, pixels), "torchvision's ResNet"
    known = need("timm").get_pretrained_cfg(card.architecture, allow_unregistered=True)
    plain = card.architecture.startswith("vit_") and card.architecture.endswith(("_patch16_224", "_patch32_224"))
    if known is None or not plain or card.timm_kwargs.keys() - PLAIN or "pos_embed" not in state:
        return None
    return _transformer(state, pixels, heads=_heads(card)), "the formulas of a ViT"


def _resnet(card: EncoderCard, state: Mapping[str, Any], pixels: Any) -> Any:
    torch, models = need("torch"), need("torchvision.models", extra="patchtcga")
    stride = card.timm_kwargs.get("output_stride", 32)
    options = {} if stride == 32 else {"replace_stride_with_dilation": DILATED[stride]}
    model = getattr(models, card.architecture)(weights=None, **options)
    model.fc = torch.nn.Identity()
    wanted = model.state_dict()
    model.load_state_dict({name: state.get(name, wanted[name]) for name in wanted})
    with torch.inference_mode():
        return model.eval()(pixels)


def _heads(card: EncoderCard) -> int:
    """Return the heads, which no weight tells."""
    from pathplugins.encoders.build import build_model

    with need("torch").device("meta"):
        return build_model(card).blocks[0].attn.num_heads


def _transformer(state: Mapping[str, Any], pixels: Any, *, heads: int) -> Any:
    """Return the class token ``[B, C]`` behind the last norm; positions are resized to the pictures' grid."""
    torch = need("torch")
    functional = torch.nn.functional
    weights = {name: value.float() for name, value in state.items() if value.is_floating_point()}

    def norm(x: Any, name: str) -> Any:
        return functional.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], EPSILON)

    def linear(x: Any, name: str) -> Any:
        return functional.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    kernel = weights["patch_embed.proj.weight"]
    with torch.inference_mode():
        patches = functional.conv2d(pixels, kernel, weights["patch_embed.proj.bias"], stride=kernel.shape[-1])
        places = _positions(weights["pos_embed"], patches.shape[-1])  # [1, N, C]
        x = patches.flatten(2).transpose(1, 2)  # [B, N - 1, C]
        x = torch.cat([weights["cls_token"].expand(len(x), -1, -1), x], 1) + places  # [B, N, C]
        for number in range(sum(bool(BLOCK.match(name)) for name in weights)):
            at = f"blocks.{number}"
            qkv = linear(norm(x, f"{at}.norm1"), f"{at}.attn.qkv").unflatten(-1, (3, heads, -1))  # [B, N, 3, h, C / h]
            q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, h, N, C / h]
            shares = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)  # [B, h, N, N]
            x = x + linear((shares @ v).transpose(1, 2).flatten(2), f"{at}.attn.proj")
            x = x + linear(functional.gelu(linear(norm(x, f"{at}.norm2"), f"{at}.mlp.fc1")), f"{at}.mlp.fc2")
        return norm(x, "norm")[:, 0]


def _positions(places: Any, side: int) -> Any:
    """Return positions ``[1, 1 + side^2, C]``; those of patches resized by PyTorch where the grid is another."""
    torch = need("torch")
    old = round((places.shape[1] - 1) ** 0.5)
    grid = places[:, 1:].unflatten(1, (old, old)).permute(0, 3, 1, 2)  # [1, C, old, old]
    if old != side:
        options = {"size": (side, side), "mode": "bicubic", "antialias": True, "align_corners": False}
        grid = torch.nn.functional.interpolate(grid, **options)
    return torch.cat([places[:, :1], grid.flatten(2).transpose(1, 2)], 1)
