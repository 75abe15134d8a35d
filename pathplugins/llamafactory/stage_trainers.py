"""The trainer of each stage: LLaMA-Factory's own with what our models need."""

from __future__ import annotations

import functools
from typing import Any

from llamafactory.train.dpo.trainer import CustomDPOTrainer
from llamafactory.train.kto.trainer import CustomKTOTrainer
from llamafactory.train.rm.trainer import PairwiseTrainer
from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer

from pathplugins.llamafactory.stage_table import STAGES
from pathplugins.llamafactory.trainer import OurTraining, core_model
from pathplugins.models.custom_llava.vision_inputs import VISION_INPUTS


class SupervisedTrainer(OurTraining, CustomSeq2SeqTrainer):
    """``stage: sft``, with evaluation without vision."""

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval", **gen_kwargs: Any
    ) -> dict[str, float]:
        """Evaluate as usual; with ``do_sanity_check`` once more with the vision tokens zeroed.

        A sanity loss no higher than the loss says that the answers do not come from the slide.
        """
        metrics = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix, **gen_kwargs)
        several = isinstance(eval_dataset if eval_dataset is not None else self.eval_dataset, dict)
        if self.do_sanity_check and not several:
            metrics.update(self._evaluate_blind(eval_dataset, metric_key_prefix))
        return metrics

    def _evaluate_blind(self, eval_dataset: Any, prefix: str) -> dict[str, float]:
        """Return the metrics without vision, by the same loop: the loss, or what ``predict_with_generate`` measures."""
        core = core_model(self.model)
        core.ablate_vision = True
        try:
            output = self.evaluation_loop(
                self.get_eval_dataloader(eval_dataset),
                "Sanity check",
                prediction_loss_only=True if self.compute_metrics is None else None,
                metric_key_prefix=f"{prefix}_sanity_check",
            )
        finally:
            core.ablate_vision = False
        self.log(output.metrics)
        return output.metrics


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


class PreferenceTrainer(OurTraining, CustomDPOTrainer):
    """``stage: dpo``."""

    parts, draws_by_text = STAGES["dpo"].parts, False


class MarkedAnswersTrainer(OurTraining, CustomKTOTrainer):
    """``stage: kto``."""

    parts, draws_by_text = STAGES["kto"].parts, False

    def forward(self, model: Any, batch: dict[str, Any], prefix: str = "") -> Any:
        """Return what LLaMA-Factory returns, which hands on the image inputs of other models only.

        The texts whose divergence is measured (``kl_``) are about the same images in the same order.
        """
        vision = {name: batch[name] for name in VISION_INPUTS if batch.get(name) is not None}
        return super().forward(functools.partial(model, **vision), batch, prefix)


TRAINERS: dict[str, type] = {
    "sft": SupervisedTrainer,
    "rm": RewardTrainer,
    "dpo": PreferenceTrainer,
    "kto": MarkedAnswersTrainer,
}
"""Stage -> trainer."""
