"""PatchTCGA: questions about images by an encoder trained on PTCGA200."""

from __future__ import annotations

from pathplugins.published.licence import Licence, Statement
from pathplugins.published.patchtcga import CODE, PAPER, README
from pathplugins.published.systems.system import Link, System

PATCH_TCGA = System(
    name="PatchTCGA",
    paper=Link(name="arXiv:2303.15693", url=PAPER),
    code=Link(name="enigmanx20/PatchTCGA", url=CODE),
    reads="images, padded to a square of 224 px",
    tower="`timm` (PTCGA200's ViT-L/16, ViT-S/16 or ResNet-50; any encoder of the table)",
    connector="`mlp2x_gelu`",
    language_model="Vicuna-7B-v1.5 (ours; none is published)",
    weights=(Link(name="checkpoints of PTCGA200, linked on its page", url=CODE),),
    licence=Licence(
        shown="weights: not stated",
        statements=(Statement(says="nothing of the weights; the data sets have licences of their own", by=README),),
    ),
    llamafactory=("ptcga200_vqa.yaml",),
    xtuner=("ptcga200_vqa.py",),
    compared="features of imported checkpoints with torchvision, timm and the formulas of a ViT, a layout per training "
    "method; the vision tower with timm",
    not_compared="the released checkpoints were not opened (their layouts come from the code that writes them); the "
    "published system classifies and segments, the questions about organs are ours; no GPU",
)
