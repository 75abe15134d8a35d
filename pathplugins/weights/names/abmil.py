"""Weights of gated-attention slide encoders: names of CHIEF, CLAM and MIL-Lab (Feather), and ours.

From their code (hms-dbmi/CHIEF at 724a374, models/CHIEF.py; mahmoodlab/MIL-Lab at 186fe41, src/models/abmil.py); no
released file was opened.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Layout(NamedTuple):
    """How one project calls the layers."""

    name: str
    first: str
    """Our layer ``embed``, whose weight tells the layout."""
    layers: dict[str, str]
    """Regular expression of a published layer -> ours."""
    left_out: re.Pattern[str]
    """Heads and memories of training, which the encoder has no use for."""


CLAM = Layout(
    name="CHIEF or CLAM",
    first="attention_net.0",
    layers={
        r"attention_net\.0": "embed",
        r"attention_net\.[23]\.attention_a\.0": "gate_tanh",  # 2 where it was built without dropout
        r"attention_net\.[23]\.attention_b\.0": "gate_sigmoid",
        r"attention_net\.[23]\.attention_c": "score",
    },
    left_out=re.compile(
        r"(classifiers|instance_classifiers|att_head|text_to_vision|organ_embedding|(pos|neg|hard_neg)_mem\d+)(\..+)?"
    ),
)
MIL_LAB = Layout(
    name="MIL-Lab",
    first="patch_embed.0",
    layers={
        r"patch_embed\.0": "embed",
        r"global_attn\.attention_a\.0": "gate_tanh",
        r"global_attn\.attention_b\.0": "gate_sigmoid",
        r"global_attn\.attention_c": "score",
    },
    left_out=re.compile(r"classifier\..+"),
)
LAYOUTS = (CLAM, MIL_LAB)
ONLY_CHIEF = "organ_embedding"
"""A tensor that CHIEF has and CLAM has not."""


def to_ours(name: str, layout: Layout) -> str | None:
    """Return our name of a published one: an unknown one unchanged, None for what is left out."""
    if layout.left_out.fullmatch(name):
        return None
    layer, _, kind = name.rpartition(".")
    ours = next((ours for published, ours in layout.layers.items() if re.fullmatch(published, layer)), None)
    return name if ours is None else f"{ours}.{kind}"
