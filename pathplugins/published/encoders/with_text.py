"""Patch encoders trained with text."""

from __future__ import annotations

from pathplugins.published.encoder_card import EncoderCard, Frame
from pathplugins.published.encoders.sources import HUGGINGFACE, as_trident, non_commercial
from pathplugins.published.licence import stated
from pathplugins.published.pathgen_clip import BY_NAME, REPOSITORY
from pathplugins.published.preprocessing import clip_square

CONCH = EncoderCard(
    name="conch",
    what="CONCH, ViT-B/16 and attentional pooler",
    family="conch",
    architecture="vit_base_patch16_224",
    timm_kwargs={"img_size": 448, "dynamic_img_size": True, "pooler_width": 512, "pooler_heads": 8},
    unused=("proj_contrast", "attn_pool_caption.", "ln_caption."),
    width=512,
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
PLIP = EncoderCard(
    name="plip",
    what="PLIP, CLIP ViT-B/32",
    architecture="vit_base_patch32_clip_quickgelu_224",
    timm_kwargs={"num_classes": 512},
    width=512,
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
WITH_TEXT = (CONCH, PLIP, PATHGEN_CLIP, PATHGEN_CLIP_L)
