"""Patch encoders trained on images alone."""

from __future__ import annotations

from pathplugins.published.encoder_card import EncoderCard, Frame
from pathplugins.published.encoders.sources import HUGGINGFACE, MODEL_CARD, TRIDENT, agreed, as_trident, non_commercial
from pathplugins.published.licence import Licence, Statement, stated
from pathplugins.published.preprocessing import SQUARE_224, SQUARE_224_BILINEAR, Preprocess

H_OPTIMUS_PREPROCESS = Preprocess(
    resize_px=224, crop_px=224, mean=(0.707223, 0.578729, 0.703617), std=(0.211883, 0.230117, 0.177517)
)
H_OPTIMUS_KWARGS = {"img_size": 224, "global_pool": "token", "init_values": 1e-5, "dynamic_img_size": False}
H_OPTIMUS_FRAME = Frame(patch_px=224, mpp=0.5, by=f"{MODEL_CARD}; {TRIDENT}")
VIRCHOW_KWARGS = {
    "img_size": 224,
    "init_values": 1e-5,
    "mlp_ratio": 5.3375,
    "global_pool": "",
    "dynamic_img_size": True,
    "mlp_layer": "SwiGLUPacked",
    "act_layer": "silu",
}

GIGAPATH = EncoderCard(
    name="gigapath",
    what="tile encoder of Prov-GigaPath, ViT-g/16",
    architecture="vit_giant_patch14_dinov2",
    timm_kwargs={
        "img_size": 224,
        "patch_size": 16,
        "embed_dim": 1536,
        "depth": 40,
        "num_heads": 24,
        "init_values": 1e-5,
        "mlp_ratio": 5.33334,
        "global_pool": "token",
    },
    width=1536,
    preprocess=Preprocess(resize_px=256, crop_px=224),
    frame=Frame(patch_px=256, mpp=0.5, by=f"tiling code of prov-gigapath; {TRIDENT}"),
    hub_id="prov-gigapath/prov-gigapath",
    hub_file="pytorch_model.bin",
    licence=Licence(
        shown="Apache-2.0, research use",
        statements=(
            Statement(says="Apache-2.0, research use", by=MODEL_CARD),
            Statement(says="Apache-2.0", by=TRIDENT),
        ),
    ),
    gated=True,
    source=f"{HUGGINGFACE}prov-gigapath/prov-gigapath",
    checked="config.json of the hub and model card",
    note="the tile encoder; the slide encoder is a vision tower of the trainers",
)
UNI = EncoderCard(
    name="uni",
    what="UNI, ViT-L/16",
    architecture="vit_large_patch16_224",
    timm_kwargs={"img_size": 224, "patch_size": 16, "init_values": 1e-5, "dynamic_img_size": True},
    width=1024,
    preprocess=SQUARE_224_BILINEAR,
    frame=as_trident(256),
    hub_id="MahmoodLab/UNI",
    hub_file="pytorch_model.bin",
    licence=non_commercial(),
    gated=True,
    source=f"{HUGGINGFACE}MahmoodLab/UNI",
    checked="config.json of the hub; loaders of TRIDENT, eva and CLAM agree",
)
UNI2_H = EncoderCard(
    name="uni2-h",
    what="UNI 2, ViT-H/14, 8 registers",
    architecture="vit_giant_patch14_224",
    timm_kwargs={
        "img_size": 224,
        "patch_size": 14,
        "depth": 24,
        "num_heads": 24,
        "init_values": 1e-5,
        "embed_dim": 1536,
        "mlp_ratio": 2.66667 * 2,
        "no_embed_class": True,
        "mlp_layer": "SwiGLUPacked",
        "act_layer": "silu",
        "reg_tokens": 8,
        "dynamic_img_size": True,
    },
    width=1536,
    preprocess=SQUARE_224_BILINEAR,
    frame=as_trident(256),
    precision="bfloat16",
    hub_id="MahmoodLab/UNI2-h",
    hub_file="pytorch_model.bin",
    licence=non_commercial(),
    gated=True,
    source=f"{HUGGINGFACE}MahmoodLab/UNI2-h",
    checked="arguments of the model card; precision and bilinear resizing as TRIDENT",
)
VIRCHOW = EncoderCard(
    name="virchow",
    what="Virchow, ViT-H/14",
    architecture="vit_huge_patch14_224",
    timm_kwargs=VIRCHOW_KWARGS,
    pool="class+mean",
    width=2560,
    preprocess=SQUARE_224,
    frame=as_trident(224),
    hub_id="paige-ai/Virchow",
    hub_file="pytorch_model.bin",
    licence=stated("Apache-2.0, with terms", MODEL_CARD),
    gated=True,
    source=f"{HUGGINGFACE}paige-ai/Virchow",
    checked="model card; loaders of TRIDENT and LazySlide agree",
    note="class token beside the mean of the patch tokens",
)
VIRCHOW2 = EncoderCard(
    name="virchow2",
    what="Virchow 2, ViT-H/14, 4 registers",
    architecture="vit_huge_patch14_224",
    timm_kwargs={**VIRCHOW_KWARGS, "reg_tokens": 4},
    pool="class+mean",
    width=2560,
    preprocess=SQUARE_224,
    frame=as_trident(224),
    hub_id="paige-ai/Virchow2",
    hub_file="model.safetensors",
    licence=non_commercial(),
    gated=True,
    source=f"{HUGGINGFACE}paige-ai/Virchow2",
    checked="model card; loaders of TRIDENT, eva and LazySlide agree",
    note="class token beside the mean of the patch tokens; the 4 registers are left out",
)
H_OPTIMUS_0 = EncoderCard(
    name="h-optimus-0",
    what="H-optimus-0, ViT-g/14, 4 registers",
    architecture="vit_giant_patch14_reg4_dinov2",
    timm_kwargs=H_OPTIMUS_KWARGS,
    width=1536,
    preprocess=H_OPTIMUS_PREPROCESS,
    frame=H_OPTIMUS_FRAME,
    hub_id="bioptimus/H-optimus-0",
    hub_file="pytorch_model.bin",
    licence=agreed("Apache-2.0"),
    gated=True,
    source=f"{HUGGINGFACE}bioptimus/H-optimus-0",
    checked="model card; it takes 224 px as they are, bicubic resizing as LazySlide",
    note="made for 224 px at 0.5 um/px; other sizes are resized, on which the model card is silent",
)
H_OPTIMUS_1 = EncoderCard(
    name="h-optimus-1",
    what="H-optimus-1, ViT-g/14, 4 registers",
    architecture="vit_giant_patch14_reg4_dinov2",
    timm_kwargs=H_OPTIMUS_KWARGS,
    width=1536,
    preprocess=H_OPTIMUS_PREPROCESS,
    frame=H_OPTIMUS_FRAME,
    hub_id="bioptimus/H-optimus-1",
    hub_file="pytorch_model.bin",
    licence=non_commercial(),
    gated=True,
    source=f"{HUGGINGFACE}bioptimus/H-optimus-1",
    checked="loaders of TRIDENT and LazySlide agree",
    note="made for 224 px at 0.5 um/px; other sizes are resized",
)
PHIKON = EncoderCard(
    name="phikon",
    what="Phikon, ViT-B/16",
    architecture="vit_base_patch16_224",
    width=768,
    preprocess=SQUARE_224_BILINEAR,
    frame=as_trident(224),
    precision="float32",
    hub_id="owkin/phikon",
    hub_file="model.safetensors",
    licence=agreed("Owkin non-commercial"),
    source=f"{HUGGINGFACE}owkin/phikon",
    checked="loaders of TRIDENT and LazySlide; epsilon 1e-6 by the hub's history; normalisation as TRIDENT",
)
PHIKON_V2 = EncoderCard(
    name="phikon-v2",
    what="Phikon v2, ViT-L/16",
    architecture="vit_large_patch16_224",
    timm_kwargs={"init_values": 1.0},
    width=1024,
    preprocess=SQUARE_224_BILINEAR,
    frame=as_trident(224),
    precision="float32",
    hub_id="owkin/phikon-v2",
    hub_file="model.safetensors",
    licence=agreed("Owkin non-commercial"),
    source=f"{HUGGINGFACE}owkin/phikon-v2",
    checked="model card (ViT-L/16, DINOv2); epsilon is Transformers' default for it; normalisation as TRIDENT",
)
SELF_SUPERVISED = (GIGAPATH, UNI, UNI2_H, VIRCHOW, VIRCHOW2, H_OPTIMUS_0, H_OPTIMUS_1, PHIKON, PHIKON_V2)
