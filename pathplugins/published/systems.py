"""Systems that train here: paper, code, weights, licence, parts, configurations, and what the tests compare."""

from __future__ import annotations

from dataclasses import dataclass

from pathplugins.published.licence import Licence, Statement, stated
from pathplugins.published.llava import PATHGEN_LLAVA
from pathplugins.published.patchtcga import CODE, PAPER, README
from pathplugins.published.pathgen import LLAVA_WEIGHTS
from pathplugins.published.pathgen_clip import BY_NAME, REPOSITORY
from pathplugins.published.slide_encoders import GIGAPATH


@dataclass(frozen=True, kw_only=True)
class Link:
    """A name and an address."""

    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class System:
    """One published system, as its configurations train it."""

    name: str
    paper: Link
    code: Link
    reads: str
    tower: str
    connector: str
    language_model: str
    weights: tuple[Link, ...]
    """Published files that are read here."""
    licence: Licence
    """Licence of the published weights; language models have licences of their own."""
    llamafactory: tuple[str, ...]
    """Configurations in ``llamafactory_configs``, in order."""
    xtuner: tuple[str, ...]
    """Configurations in ``xtuner_configs``, in order."""
    compared: str
    """Parts whose values the tests compare with the published code or formulas, on seeded weights."""
    not_compared: str
    """Facts that nobody here could check."""


WSI_LLAVA = System(
    name="WSI-LLaVA",
    paper=Link(
        name="no paper; its slide encoder: Prov-GigaPath, Nature 2024", url="https://doi.org/10.1038/s41586-024-07441-w"
    ),
    code=Link(name="Desperadodo/UCL_2025_FYP", url="https://github.com/Desperadodo/UCL_2025_FYP"),
    reads="bags (H5) of whole slides, GigaPath features and positions",
    tower="`gigapath` (LongNet slide encoder)",
    connector="`gamma_mlp`",
    language_model="Llama-3.2-1B-Instruct",
    weights=(Link(name=f"{GIGAPATH.hub_id}: {GIGAPATH.file}", url=f"https://huggingface.co/{GIGAPATH.hub_id}"),),
    licence=GIGAPATH.licence,
    llamafactory=(
        "wsi_llava_stage2.yaml",
        "wsi_llava_stage3.yaml",
        "wsi_llava_export.yaml",
        "wsi_llava_infer.yaml",
        "wsi_llava_predict.yaml",
        "wsi_llava_dpo.yaml",
    ),
    xtuner=("wsi_llava_stage2.py", "wsi_llava_stage3.py"),
    compared="slide encoder, connector, token selection, layout of its YAML files",
    not_compared="the released slide_encoder.pth was not opened (the names of its tensors come from the code); no "
    "weights of the whole model are published; no published score was reproduced; no GPU",
)
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
SYSTEMS = (WSI_LLAVA, PA_LLAVA, PATHGEN, PATCH_TCGA)
