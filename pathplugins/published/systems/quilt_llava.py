"""Quilt-LLaVA, trained on Quilt-Instruct."""

from __future__ import annotations

from pathplugins.published.licence import stated
from pathplugins.published.quilt_llava import CLIP_L_336, CODE, PAPER, QUILTNET_B_32, WEIGHTS
from pathplugins.published.systems.system import Link, System

QUILT_LLAVA = System(
    name="Quilt-LLaVA",
    paper=Link(name="arXiv:2312.04746, CVPR 2024", url=PAPER),
    code=Link(name="aldraus/quilt-llava", url=CODE),
    reads="images, cut (pre-training) or padded to a square of 224 or 336 px",
    tower=f"`clip` ({QUILTNET_B_32.name}; the released weights {CLIP_L_336.name})",
    connector="`mlp2x_gelu`",
    language_model="Vicuna-7B-v1.5",
    weights=(
        Link(name=WEIGHTS, url=f"https://huggingface.co/{WEIGHTS}"),
        Link(name=QUILTNET_B_32.hub_id, url=f"https://huggingface.co/{QUILTNET_B_32.hub_id}"),
    ),
    licence=stated("CC-BY-NC-3.0", "tag of its hub page, which has a form"),
    llamafactory=("quilt_pretrain.yaml", "quilt_instruct.yaml"),
    xtuner=("quilt_pretrain.py", "quilt_instruct.py"),
    compared="token ids and label masks of its older LLaVA, cut and padded images, the imported model's logits, the "
    "published scores",
    not_compared="the released weights were not opened; no published score was reproduced; no GPU",
)
