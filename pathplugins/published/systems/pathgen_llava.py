"""PathGen-LLaVA, trained on PathGen-1.6M."""

from __future__ import annotations

from pathplugins.published.licence import Licence, Statement
from pathplugins.published.llava import PATHGEN_LLAVA
from pathplugins.published.pathgen import LLAVA_WEIGHTS
from pathplugins.published.pathgen_clip import BY_NAME, REPOSITORY
from pathplugins.published.systems.system import Link, System

PATHGEN = System(
    name="PathGen-LLaVA",
    paper=Link(name="arXiv:2407.00203, ICLR 2025", url="https://arxiv.org/abs/2407.00203"),
    code=Link(name="PathFoundation/PathGen-1.6M", url=REPOSITORY),
    reads="images, padded to a square of 336 px",
    tower="`clip` (PathGen-CLIP-L, ViT-L/14)",
    connector=f"`{PATHGEN_LLAVA.connector}`",
    language_model="Vicuna-13B-v1.5",
    weights=(
        Link(name=f"{BY_NAME['pathgen-clip-l'].hub_id}: pathgen-clip-l.pt", url=BY_NAME["pathgen-clip-l"].source),
        Link(name=LLAVA_WEIGHTS.repository, url=LLAVA_WEIGHTS.source),
    ),
    licence=Licence(
        shown="CC-BY-NC-4.0 (CLIP-L), CC-BY-4.0 (LLaVA)",
        statements=(
            *BY_NAME["pathgen-clip-l"].licence.statements,
            Statement(says="cc-by-4.0", by=f"tag of {LLAVA_WEIGHTS.repository}"),
        ),
    ),
    llamafactory=("pathgen_phase1.yaml", "pathgen_phase2.yaml"),
    xtuner=("pathgen_phase1.py", "pathgen_phase2.py"),
    compared="token ids and label masks of LLaVA v1.5, padding, connector, OpenCLIP to Transformers against open_clip, "
    "both layouts of LLaVA's weights",
    not_compared="the released weights were not opened; no published score was reproduced; no GPU",
)
