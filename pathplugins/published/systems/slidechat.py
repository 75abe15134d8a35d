"""SlideChat (CVPR 2025): every patch of a slide is a token of the language model."""

from __future__ import annotations

from pathplugins.published.licence import Licence, Statement
from pathplugins.published.systems.system import Link, System

_WEIGHTS = "https://huggingface.co/General-Medical-AI/SlideChat_Weight"

SLIDECHAT = System(
    name="SlideChat",
    paper=Link(name="arXiv:2410.11761, CVPR 2025", url="https://arxiv.org/abs/2410.11761"),
    code=Link(name="uni-medical/SlideChat (a fork of XTuner)", url="https://github.com/uni-medical/SlideChat"),
    reads="CONCH's features of up to 10,240 patches, without positions",
    tower="`slidechat` (two layers in which patches never see each other, as in the published code)",
    connector="`mlp2x_gelu`",
    language_model="Qwen2.5-7B-Instruct, trained whole",
    weights=(Link(name="General-Medical-AI/SlideChat_Weight: stage1_pth, stage2_pth (gated)", url=_WEIGHTS),),
    licence=Licence(
        shown="weights: none stated, gated",
        statements=(Statement(says="no licence; its terms have to be accepted", by=_WEIGHTS),),
    ),
    llamafactory=("slidechat_stage1.yaml", "slidechat_stage2.yaml"),
    xtuner=("slidechat_stage1.py", "slidechat_stage2.py"),
    compared="slide encoder (values and gradients), token ids and label masks of five conversations, checkpoints by "
    "their published names from file and DeepSpeed folder, published hyper-parameters and budgets",
    not_compared="the released weights were not opened (names come from the code); no published score was reproduced; "
    "no GPU",
)
