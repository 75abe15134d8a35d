"""PathoSynVLM (2026): reports about cases of several slides, with a learnt marker before each."""

from __future__ import annotations

from pathplugins.published.licence import stated
from pathplugins.published.systems.system import Link, System

_CODE = "https://github.com/AtlasAnalyticsLab/PathoSynVLM"

PATHOSYNVLM = System(
    name="PathoSynVLM",
    paper=Link(name="arXiv:2605.30716", url="https://arxiv.org/abs/2605.30716"),
    code=Link(name="AtlasAnalyticsLab/PathoSynVLM", url=_CODE),
    reads="bags (H5) of CONCH v1.5 features, several slides of a case with a learnt marker each",
    tower="`features` (identity)",
    connector="`norm_mlp`",
    language_model="Qwen2.5-3B-Instruct, LoRA and all weights",
    weights=(Link(name="AtlasAnalyticsLab/PathoSynVLM", url="https://huggingface.co/AtlasAnalyticsLab/PathoSynVLM"),),
    licence=stated("CC BY-NC-SA 4.0", "LICENSE of its repository"),
    llamafactory=("pathosyn_align.yaml", "pathosyn_instruct.yaml"),
    xtuner=(),
    compared="connector and slide markers with their formula, token ids and label masks of its three formats, a "
    "forward of an imported release with a plain language model, published hyper-parameters",
    not_compared="the released weights were not opened (names come from the code that writes them), nor whether they "
    "hold the trained language model; no published score was reproduced; no GPU",
)
