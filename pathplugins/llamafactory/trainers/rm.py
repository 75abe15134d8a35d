"""Trainer of ``stage: rm``: scores at the ends of the texts, whatever a selector leaves out."""

from __future__ import annotations

from typing import Any

from llamafactory.train.rm.trainer import PairwiseTrainer

from pathplugins.llamafactory.stage_table import STAGES
from pathplugins.llamafactory.trainer import OurTraining, core_model


class RewardTrainer(OurTraining, PairwiseTrainer):
    """``stage: rm``."""

    parts, draws_by_text = STAGES["rm"].parts, False

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Return the loss of the last tokens' scores, which are looked up by the positions of the input.

        Given labels, which nobody reads here, the model would leave out the positions an adaptive selector has no
        token for; without them it hides them and every position stays where it is.
        """
        if core_model(self.model).token_selector.adaptive:
            inputs = {name: value for name, value in inputs.items() if name != "labels"}
        return super().compute_loss(model, inputs, *args, **kwargs)
