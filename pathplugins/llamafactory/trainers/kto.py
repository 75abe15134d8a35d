"""Trainer of ``stage: kto``: hands on the images."""

from __future__ import annotations

import functools
from typing import Any

from llamafactory.train.kto.trainer import CustomKTOTrainer

from pathplugins.llamafactory.stage_table import STAGES
from pathplugins.llamafactory.trainer import OurTraining
from pathplugins.models.custom_llava.vision_inputs import VISION_INPUTS


class MarkedAnswersTrainer(OurTraining, CustomKTOTrainer):
    """``stage: kto``."""

    parts, draws_by_text = STAGES["kto"].parts, False

    def forward(self, model: Any, batch: dict[str, Any], prefix: str = "") -> Any:
        """Return what LLaMA-Factory returns, which hands on the image inputs of other models only.

        The texts whose divergence is measured (``kl_``) are about the same images in the same order.
        """
        vision = {name: batch[name] for name in VISION_INPUTS if batch.get(name) is not None}
        return super().forward(functools.partial(model, **vision), batch, prefix)
