"""WSI-LLaVA, trained on bags of GigaPath's features."""

from __future__ import annotations

from pathplugins.published.slide_encoders import GIGAPATH
from pathplugins.published.systems.system import Link, System

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
