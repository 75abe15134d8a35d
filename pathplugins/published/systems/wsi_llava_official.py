"""The official WSI-LLaVA (ICCV 2025): pooled slide tokens in the place of CLIP's in LLaVA-1.5."""

from __future__ import annotations

from pathplugins.published.licence import Licence, Statement
from pathplugins.published.slide_encoders import GIGAPATH
from pathplugins.published.systems.system import Link, System

_HUB = "https://huggingface.co/Lucas-yuc"

WSI_LLAVA_OFFICIAL = System(
    name="WSI-LLaVA, official",
    paper=Link(name="arXiv:2412.02141, ICCV 2025", url="https://arxiv.org/abs/2412.02141"),
    code=Link(name="yu5-kim/WSI-LLaVA (the fork that runs)", url="https://github.com/yu5-kim/WSI-LLaVA"),
    reads="576 pooled tokens of GigaPath's slide encoder (`pathdata pool`)",
    tower="`features` (identity; the CLIP in the checkpoint is bypassed)",
    connector="`mlp2x_gelu`",
    language_model="Vicuna-7B-v1.5 of LLaVA-1.5, LoRA",
    weights=(
        Link(name="Lucas-yuc/wsi-llava-v1.5-7b-e1", url=f"{_HUB}/wsi-llava-v1.5-7b-e1"),
        Link(name="Lucas-yuc/wsi-llava-v1.5-7b-14", url=f"{_HUB}/wsi-llava-v1.5-7b-14"),
        Link(name=f"{GIGAPATH.hub_id}: {GIGAPATH.file}", url=f"https://huggingface.co/{GIGAPATH.hub_id}"),
    ),
    licence=Licence(
        shown="weights: not known here",
        statements=(
            Statement(says="the pages of the weights could not be opened: read their terms", by="pathplugins"),
        ),
    ),
    llamafactory=("wsi_llava_official.yaml",),
    xtuner=("wsi_llava_official.py",),
    compared="pooling with its formula, token ids and label masks of LLaVA's v1, a forward of imported weights (whole "
    "and LoRA) with a plain language model on the connector's output, published hyper-parameters",
    not_compared="the released weights were not opened (names come from the code); the authors' own repository does "
    "not run; no published score was reproduced; no GPU",
)
