"""Trainer of ``stage: dpo``."""

from __future__ import annotations

from llamafactory.train.dpo.trainer import CustomDPOTrainer

from pathplugins.llamafactory.stage_table import STAGES
from pathplugins.llamafactory.trainer import OurTraining


class PreferenceTrainer(OurTraining, CustomDPOTrainer):
    """``stage: dpo``."""

    parts, draws_by_text = STAGES["dpo"].parts, False
