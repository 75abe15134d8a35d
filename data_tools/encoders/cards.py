"""The patch encoders that have a row, and where each number of it was read.

``checked`` says who publishes the numbers: the model card, the published code, or loaders of other projects that agree.
No row was run with the published weights here; what a file of weights cannot show by its shapes (normalisation,
activation, epsilon) is as good as that source.
"""

from __future__ import annotations

from .card import OPENAI_MEAN, OPENAI_STD, EncoderCard, Preprocess

HUGGINGFACE = "https://huggingface.co/"
NON_COMMERCIAL = "CC-BY-NC-ND-4.0"
SQUARE_224 = Preprocess(resize_px=224, crop_px=224)
SQUARE_224_BILINEAR = Preprocess(resize_px=224, crop_px=224, interpolation="bilinear")
CLIP_224 = Preprocess(resize_px=224, crop_px=224, mean=OPENAI_MEAN, std=OPENAI_STD)
H_OPTIMUS = Preprocess(
    resize_px=224, crop_px=224, mean=(0.707223, 0.578729, 0.703617), std=(0.211883, 0.230117, 0.177517)
)
VIRCHOW = {
    "img_size": 224,
    "init_values": 1e-5,
    "mlp_ratio": 5.3375,
    "global_pool": "",
    "dynamic_img_size": True,
    "mlp_layer": "SwiGLUPacked",
    "act_layer": "silu",
}
PATCH_TCGA = "https://github.com/enigmanx20/PatchTCGA"
PTCGA_LICENCE = "weights: not stated"
PTCGA_NOTE = "whole 200 um patches as in training; its validation cuts 287 of 512 px, which is --mpp 0.5 and 224 px"

SELF_SUPERVISED = (
    EncoderCard(
        name="gigapath",
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
        hub_id="prov-gigapath/prov-gigapath",
        hub_file="pytorch_model.bin",
        licence="Apache-2.0, research use",
        gated=True,
        source=f"{HUGGINGFACE}prov-gigapath/prov-gigapath",
        checked="config.json of the hub and model card",
        note="the tile encoder; the slide encoder is a vision tower of the trainers",
    ),
    EncoderCard(
        name="uni",
        architecture="vit_large_patch16_224",
        timm_kwargs={"img_size": 224, "patch_size": 16, "init_values": 1e-5, "dynamic_img_size": True},
        width=1024,
        preprocess=SQUARE_224_BILINEAR,
        hub_id="MahmoodLab/UNI",
        hub_file="pytorch_model.bin",
        licence=NON_COMMERCIAL,
        gated=True,
        source=f"{HUGGINGFACE}MahmoodLab/UNI",
        checked="config.json of the hub; loaders of TRIDENT, eva and CLAM agree",
    ),
    EncoderCard(
        name="uni2-h",
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
        precision="bfloat16",
        hub_id="MahmoodLab/UNI2-h",
        hub_file="pytorch_model.bin",
        licence=NON_COMMERCIAL,
        gated=True,
        source=f"{HUGGINGFACE}MahmoodLab/UNI2-h",
        checked="arguments of the model card; precision and bilinear resizing as TRIDENT",
    ),
    EncoderCard(
        name="virchow",
        architecture="vit_huge_patch14_224",
        timm_kwargs=VIRCHOW,
        pool="class+mean",
        width=2560,
        preprocess=SQUARE_224,
        hub_id="paige-ai/Virchow",
        hub_file="pytorch_model.bin",
        licence="Apache-2.0, with terms",
        gated=True,
        source=f"{HUGGINGFACE}paige-ai/Virchow",
        checked="model card; loaders of TRIDENT and LazySlide agree",
        note="class token beside the mean of the patch tokens",
    ),
    EncoderCard(
        name="virchow2",
        architecture="vit_huge_patch14_224",
        timm_kwargs={**VIRCHOW, "reg_tokens": 4},
        pool="class+mean",
        width=2560,
        preprocess=SQUARE_224,
        hub_id="paige-ai/Virchow2",
        hub_file="model.safetensors",
        licence=NON_COMMERCIAL,
        gated=True,
        source=f"{HUGGINGFACE}paige-ai/Virchow2",
        checked="model card; loaders of TRIDENT, eva and LazySlide agree",
        note="class token beside the mean of the patch tokens; the 4 registers are left out",
    ),
    EncoderCard(
        name="h-optimus-0",
        architecture="vit_giant_patch14_reg4_dinov2",
        timm_kwargs={"img_size": 224, "global_pool": "token", "init_values": 1e-5, "dynamic_img_size": False},
        width=1536,
        preprocess=H_OPTIMUS,
        hub_id="bioptimus/H-optimus-0",
        hub_file="pytorch_model.bin",
        licence="Apache-2.0",
        gated=True,
        source=f"{HUGGINGFACE}bioptimus/H-optimus-0",
        checked="model card; it takes 224 px as they are, bicubic resizing as LazySlide",
        note="made for 224 px at 0.5 um/px; other sizes are resized, on which the model card is silent",
    ),
    EncoderCard(
        name="h-optimus-1",
        architecture="vit_giant_patch14_reg4_dinov2",
        timm_kwargs={"img_size": 224, "global_pool": "token", "init_values": 1e-5, "dynamic_img_size": False},
        width=1536,
        preprocess=H_OPTIMUS,
        hub_id="bioptimus/H-optimus-1",
        hub_file="pytorch_model.bin",
        licence=NON_COMMERCIAL,
        gated=True,
        source=f"{HUGGINGFACE}bioptimus/H-optimus-1",
        checked="loaders of TRIDENT and LazySlide agree",
        note="made for 224 px at 0.5 um/px; other sizes are resized",
    ),
    EncoderCard(
        name="phikon",
        architecture="vit_base_patch16_224",
        width=768,
        preprocess=SQUARE_224_BILINEAR,
        precision="float32",
        hub_id="owkin/phikon",
        hub_file="model.safetensors",
        licence="Owkin non-commercial",
        source=f"{HUGGINGFACE}owkin/phikon",
        checked="loaders of TRIDENT and LazySlide; epsilon 1e-6 by the hub's history; normalisation as TRIDENT",
    ),
    EncoderCard(
        name="phikon-v2",
        architecture="vit_large_patch16_224",
        timm_kwargs={"init_values": 1.0},
        width=1024,
        preprocess=SQUARE_224_BILINEAR,
        precision="float32",
        hub_id="owkin/phikon-v2",
        hub_file="model.safetensors",
        licence="Owkin non-commercial",
        source=f"{HUGGINGFACE}owkin/phikon-v2",
        checked="model card (ViT-L/16, DINOv2); epsilon is Transformers' default for it; normalisation as TRIDENT",
    ),
)

WITH_TEXT = (
    EncoderCard(
        name="conch",
        family="conch",
        architecture="vit_base_patch16_224",
        timm_kwargs={"img_size": 448, "dynamic_img_size": True, "pooler_width": 512, "pooler_heads": 8},
        unused=("proj_contrast", "attn_pool_caption.", "ln_caption."),
        width=512,
        preprocess=Preprocess(resize_px=448, crop_px=448, mean=OPENAI_MEAN, std=OPENAI_STD),
        precision="float32",
        hub_id="MahmoodLab/conch",
        hub_file="pytorch_model.bin",
        licence=NON_COMMERCIAL,
        gated=True,
        source="https://github.com/mahmoodlab/CONCH",
        checked="published code and model configuration; CLAM's constants agree; precision as TRIDENT",
        note="before the projection to text and not normalised, as its authors advise for patches",
    ),
    EncoderCard(
        name="plip",
        architecture="vit_base_patch32_clip_quickgelu_224",
        timm_kwargs={"num_classes": 512},
        width=512,
        preprocess=CLIP_224,
        hub_id="vinid/plip",
        hub_file="pytorch_model.bin",
        licence="non-commercial",
        source=f"{HUGGINGFACE}vinid/plip",
        checked="Transformers' CLIP ViT-B/32, as its authors and LazySlide load it; licence as LazySlide says",
        note="projected image features, not normalised",
    ),
    EncoderCard(
        name="pathgen-clip",
        architecture="vit_base_patch16_clip_quickgelu_224",
        timm_kwargs={"num_classes": 512},
        width=512,
        preprocess=CLIP_224,
        hub_id="jamessyx/PathGen-CLIP",
        hub_file="pathgenclip.pt",
        licence="see its source",
        source="https://github.com/PathFoundation/PathGen-1.6M",
        checked="README (ViT-B/16); QuickGELU is inferred",
        note="QuickGELU as in OpenAI's weights it grew from; its README's call of open_clip runs GELU (open_clip#771)",
    ),
    EncoderCard(
        name="pathgen-clip-l",
        architecture="vit_large_patch14_clip_quickgelu_336",
        timm_kwargs={"num_classes": 768},
        width=768,
        preprocess=Preprocess(resize_px=336, crop_px=336, mean=OPENAI_MEAN, std=OPENAI_STD),
        hub_id="jamessyx/PathGen-CLIP-L",
        hub_file="pathgen-clip-l.pt",
        licence="CC-BY-NC-4.0",
        source=f"{HUGGINGFACE}jamessyx/PathGen-CLIP-L",
        checked="README; its authors' code runs ViT-L-14-336 with force_quick_gelu",
        note="the vision tower of PathGen-LLaVA, here with its projection",
    ),
)

CONVOLUTIONAL = (
    EncoderCard(
        name="resnet50-clam",
        architecture="resnet50",
        timm_kwargs={"features_only": True, "out_indices": (3,)},
        pool="map mean",
        unused=("layer4.",),
        width=1024,
        preprocess=SQUARE_224_BILINEAR,
        precision="float32",
        hub_id="timm/resnet50.tv_in1k",
        hub_file="model.safetensors",
        licence="BSD-3-Clause",
        source=f"{HUGGINGFACE}timm/resnet50.tv_in1k",
        checked="loaders of CLAM and TRIDENT agree",
        note="ImageNet, cut after the third stage, as CLAM's resnet50_trunc",
    ),
)


def _ptcga(name: str, architecture: str, width: int, checked: str, preprocess: Preprocess) -> EncoderCard:
    """A row of PatchTCGA: weights handed out by its authors, on no hub."""
    return EncoderCard(
        name=f"ptcga200-{name}",
        architecture=architecture,
        width=width,
        preprocess=preprocess,
        local_only=True,
        licence=PTCGA_LICENCE,
        source=PATCH_TCGA,
        checked=checked,
        note=PTCGA_NOTE,
    )


PTCGA200 = (
    _ptcga("supervised", "resnet50", 2048, "published code", SQUARE_224_BILINEAR),
    _ptcga("byol", "resnet50", 2048, "published code", SQUARE_224_BILINEAR),
    _ptcga("moco", "resnet50", 2048, "shape only; MoCo's usual normalisation, not looked up", SQUARE_224_BILINEAR),
    _ptcga(
        "simclr",
        "resnet50",
        2048,
        "shape only; pixels from 0 to 1 without normalisation, as in the SimCLR code its README names",
        Preprocess(resize_px=224, crop_px=224, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    ),
    _ptcga("dino", "vit_small_patch16_224", 384, "shape only; DINO's usual normalisation, not looked up", SQUARE_224),
    _ptcga("mae", "vit_large_patch16_224", 1024, "shape only; MAE's usual normalisation, not looked up", SQUARE_224),
)

CARDS = (*SELF_SUPERVISED, *WITH_TEXT, *CONVOLUTIONAL, *PTCGA200)
