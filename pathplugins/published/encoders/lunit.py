"""Patch encoders of Lunit's benchmark of self-supervised learning (Kang et al. 2023)."""

from __future__ import annotations

from pathplugins.published.encoder_card import EncoderCard, Frame
from pathplugins.published.encoders.sources import LAZYSLIDE, TRIDENT, as_trident, said_by
from pathplugins.published.preprocessing import Preprocess

CODE = "https://github.com/lunit-io/benchmark-ssl-pathology"
MEAN, STD = (0.70322989, 0.53606487, 0.66096631), (0.21716536, 0.26081574, 0.20723464)
"""Of its training patches, by its release notes as LazySlide and kaiko's eva cite them."""
LICENCE = said_by("Lunit non-commercial", f"README of {CODE}", TRIDENT, LAZYSLIDE)
CHECKED = "its own README (architecture); mean and deviation of its release notes, as LazySlide and eva cite them"


def _row(name: str, what: str, architecture: str, hub_file: str, width: int, tokens: int, *, vit: bool) -> EncoderCard:
    """Return a row; the timm form of the weights lies on the hub."""
    geometry = "; 248 px cut to 224 px as TRIDENT" if vit else "; size of the input not looked up"
    return EncoderCard(
        name=f"lunit-{name}",
        what=f"Lunit's {what}",
        architecture=architecture,
        timm_kwargs={"img_size": 224, "dynamic_img_size": True} if vit else {},
        width=width,
        tokens=tokens,
        token_width=width,
        preprocess=Preprocess(resize_px=248 if vit else 224, crop_px=224, mean=MEAN, std=STD),
        frame=as_trident(224) if name == "vits8" else Frame(patch_px=224, mpp=0.5, by=f"{TRIDENT}, of lunit-vits8"),
        precision="float32",
        hub_id=f"1aurent/{hub_file}",
        hub_file="model.safetensors",
        licence=LICENCE,
        source=CODE,
        checked=CHECKED + geometry,
        note="the hub's config.json, and with it TRIDENT, normalises as ImageNet: bags differ" if vit else "",
    )


_VIT, _RESNET = "vit_small_patch{}_224", "resnet50"
LUNIT = (
    _row("vits8", "ViT-S/8, DINO", _VIT.format(8), f"{_VIT.format(8)}.lunit_dino", 384, 784, vit=True),
    _row("vits16", "ViT-S/16, DINO", _VIT.format(16), f"{_VIT.format(16)}.lunit_dino", 384, 196, vit=True),
    _row("swav", "ResNet-50, SwAV", _RESNET, "resnet50.lunit_swav", 2048, 49, vit=False),
    _row("bt", "ResNet-50, Barlow Twins", _RESNET, "resnet50.lunit_bt", 2048, 49, vit=False),
)
