"""Patch encoders trained with text."""

from __future__ import annotations

from pathplugins.published.encoder_card import EncoderCard, Frame
from pathplugins.published.encoders.sources import (
    HUGGINGFACE,
    LAZYSLIDE,
    TRIDENT,
    as_trident,
    non_commercial,
    said_by,
)
from pathplugins.published.licence import stated
from pathplugins.published.pathgen_clip import BY_NAME, REPOSITORY
from pathplugins.published.preprocessing import HALF, Preprocess, clip_square

MUSK_CODE = "https://github.com/lilab-stanford/MUSK"

CONCH = EncoderCard(
    name="conch",
    what="CONCH, ViT-B/16 and attentional pooler",
    family="conch",
    architecture="vit_base_patch16_224",
    timm_kwargs={"img_size": 448, "dynamic_img_size": True, "pooler_width": 512, "pooler_heads": 8},
    unused=("proj_contrast", "attn_pool_caption.", "ln_caption."),
    width=512,
    tokens=784,
    token_width=768,
    preprocess=clip_square(448),
    frame=as_trident(512),
    precision="float32",
    hub_id="MahmoodLab/conch",
    hub_file="pytorch_model.bin",
    licence=non_commercial(),
    gated=True,
    source="https://github.com/mahmoodlab/CONCH",
    checked="published code and model configuration; CLAM's constants agree; precision as TRIDENT",
    note="before the projection to text and not normalised, as its authors advise for patches",
)
CONCH_V15 = EncoderCard(
    name="conch-v1.5",
    what="CONCH v1.5 (of TITAN), ViT-L/16 and attentional pooler",
    family="conch-v1.5",
    architecture="vit_large_patch16_224",
    timm_kwargs={"img_size": 448, "init_values": 1.0, "pooler_width": 768, "pooler_heads": 8},
    width=768,
    tokens=784,
    token_width=1024,
    positions="dino",
    preprocess=Preprocess(resize_px=448, crop_px=448, interpolation="bilinear"),
    frame=as_trident(512),
    hub_id="MahmoodLab/conchv1_5",
    hub_file="pytorch_model_vision.bin",
    licence=said_by("CC-BY-NC-ND-4.0", TRIDENT, LAZYSLIDE),
    gated=True,
    source=f"{HUGGINGFACE}MahmoodLab/conchv1_5",
    checked="loaders of TITAN and TRIDENT (architecture, positions, bilinear); LazySlide resizes bicubic",
    note="positions of 224 px in the file are resized to 448 px by DINO's rule, as its loaders do at every step",
)
MUSK = EncoderCard(
    name="musk",
    what="MUSK, image side of a BEiT-3 large, 16 px patches at 384 px",
    architecture="beit3_large_patch16_224",
    timm_kwargs={"img_size": 384, "global_pool": "token"},
    width=1024,
    tokens=576,
    token_width=1024,
    preprocess=Preprocess(resize_px=384, crop_px=384, mean=HALF, std=HALF),
    frame=as_trident(384),
    hub_id="xiangjx/musk",
    hub_file="model.safetensors",
    licence=said_by("CC-BY-NC-ND-4.0", f"README of {MUSK_CODE}", TRIDENT, LAZYSLIDE),
    gated=True,
    source=MUSK_CODE,
    checked="its own code and README (mean and deviation 0.5, which LazySlide has as ImageNet's); torchscale's layers",
    note="class token before the head, at one scale, as TRIDENT; its README joins two scales, which gives 2048",
)
PLIP = EncoderCard(
    name="plip",
    what="PLIP, CLIP ViT-B/32",
    architecture="vit_base_patch32_clip_quickgelu_224",
    timm_kwargs={"num_classes": 512},
    width=512,
    tokens=49,
    token_width=768,
    preprocess=clip_square(224),
    hub_id="vinid/plip",
    hub_file="pytorch_model.bin",
    licence=stated("non-commercial", "LazySlide"),
    source=f"{HUGGINGFACE}vinid/plip",
    checked="Transformers' CLIP ViT-B/32, as its authors and LazySlide load it; licence as LazySlide says",
    note="projected image features, not normalised",
)


def _pathgen(name: str, what: str, architecture: str, note: str) -> EncoderCard:
    """Return the card of a PathGen-CLIP checkpoint, whose facts stand in ``pathgen_clip``."""
    row = BY_NAME[name]
    return EncoderCard(
        name=name,
        what=what,
        architecture=architecture,
        timm_kwargs={"num_classes": row.shape.projection_dim},
        clip=name,
        width=row.shape.projection_dim,
        tokens=(row.shape.image_size // row.shape.patch_size) ** 2,
        token_width=row.shape.width,
        preprocess=clip_square(row.shape.image_size),
        frame=Frame(patch_px=row.patch_px, mpp=0.25, by=f"{REPOSITORY}: level 0 of slides, most of them 40x"),
        hub_id=row.hub_id,
        hub_file=row.files[0],
        licence=row.licence,
        gated=row.gated,
        source=row.source,
        checked=row.checked,
        note=note,
    )


PATHGEN_CLIP = _pathgen(
    "pathgen-clip",
    "PathGen-CLIP, ViT-B/16",
    "vit_base_patch16_clip_224",
    f"needs --activation; {BY_NAME['pathgen-clip'].note}",
)
PATHGEN_CLIP_L = _pathgen(
    "pathgen-clip-l",
    "PathGen-CLIP-L, ViT-L/14 at 336 px",
    "vit_large_patch14_clip_quickgelu_336",
    f"{BY_NAME['pathgen-clip-l'].note}; here with its projection",
)
WITH_TEXT = (CONCH, CONCH_V15, MUSK, PLIP, PATHGEN_CLIP, PATHGEN_CLIP_L)
