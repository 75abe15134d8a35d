"""PA-LLaVA, trained on images in tiles."""

from __future__ import annotations

from pathplugins.published.licence import stated
from pathplugins.published.systems.system import Link, System

PA_LLAVA = System(
    name="PA-LLaVA",
    paper=Link(name="arXiv:2408.09530, BIBM 2024", url="https://arxiv.org/abs/2408.09530"),
    code=Link(name="ddw2AIGROUP2CQUPT/PA-LLaVA", url="https://github.com/ddw2AIGROUP2CQUPT/PA-LLaVA"),
    reads="images: thumbnail and 4 to 8 tiles of 224 px",
    tower="`plip` (ViT-B/16)",
    connector="`scale_invariant`",
    language_model="Llama-3-8B-Instruct",
    weights=(
        Link(
            name="OpenFace-CQUPT/Pathology-LLaVA: plip.tar.gz, instruction_tuning_weight.pth.tar.gz",
            url="https://huggingface.co/OpenFace-CQUPT/Pathology-LLaVA",
        ),
    ),
    licence=stated("Apache-2.0", "tag of its hub page"),
    llamafactory=("pallava_alignment.yaml", "pallava_instruction.yaml", "pallava_export.yaml"),
    xtuner=("pallava_domain_alignment.py", "pallava_instruction_tuning.py"),
    compared="grids and pixels of the tiles, connector with and without cross-attention, names of the weights",
    not_compared="the released weights were not opened; no published score was reproduced; no GPU",
)
