"""Features of any encoder and a table of questions: ours, nothing published."""

from __future__ import annotations

from pathplugins.published.licence import Licence, Statement
from pathplugins.published.systems.system import Link, System

_CODE = Link(name="mahmoodlab/TRIDENT, which writes such bags", url="https://github.com/mahmoodlab/TRIDENT")
FEATURES_VQA = System(
    name="Features VQA",
    paper=Link(name="no paper; ours", url=_CODE.url),
    code=_CODE,
    reads="bags (H5) of features of any encoder, with or without positions",
    tower="`features` (as they are; or `patch_mlp`)",
    connector="`mlp2x_gelu`",
    language_model="Qwen2.5-7B-Instruct",
    weights=(),
    licence=Licence(
        shown="no weights; those of the encoder have a licence of their own",
        statements=(Statement(says="nothing is published", by="this table"),),
    ),
    llamafactory=("features_vqa.yaml",),
    xtuner=(),
    compared="features and layers with their formulas; bags of TRIDENT, CLAM and STAMP by their layouts",
    not_compared="no published system; no GPU",
)
