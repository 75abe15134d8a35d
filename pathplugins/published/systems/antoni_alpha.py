"""ANTONI-Alpha: PRISM's latents through learnt queries to MedGemma."""

from __future__ import annotations

from pathplugins.published.licence import Licence, Statement
from pathplugins.published.systems.system import Link, System

_WEIGHTS = "https://huggingface.co/SaltySander/ANTONI-Alpha"
_CODE = "https://github.com/computationalpathologygroup/ANTONI-Alpha"
ANTONI_ALPHA = System(
    name="ANTONI-Alpha",
    paper=Link(name="MIDL 2026, PMLR 315", url="https://openreview.net/forum?id=aGPowreqPi"),
    code=Link(name="computationalpathologygroup/ANTONI-Alpha", url=_CODE),
    reads="H5 bags of PRISM's latents (513, 1280), without positions",
    tower="`features` (as they are)",
    connector="`latent_queries`",
    language_model="the text part of MedGemma-4b-it (Gemma 3)",
    weights=(Link(name="SaltySander/ANTONI-Alpha: main, pretrain", url=_WEIGHTS),),
    licence=Licence(
        shown="HAI-DEF terms (gated with MedGemma)",
        statements=(
            Statement(says="Health AI Developer Foundations License", by=f"README, {_CODE}"),
            Statement(says="health-ai-developer-foundations", by=f"licence of {_WEIGHTS}"),
        ),
    ),
    llamafactory=("antoni_align.yaml", "antoni_instruct.yaml"),
    xtuner=(),
    compared="connector (values and gradients), token ids and label masks of five conversations with one text "
    "tokenized whole, an imported checkpoint by PEFT's own names with PEFT's forward, choices by "
    "likelihood, the recipe",
    not_compared="the released weights were not opened (names come from the code, and from PEFT); the 4-bit base is "
    "not reproduced, nor a published score; no GPU",
)
