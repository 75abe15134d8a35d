"""Trainer of ``stage: sft``: with evaluation without vision, and answers that say what they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer

from pathplugins.llamafactory.named_predictions import name_predictions
from pathplugins.llamafactory.trainer import OurTraining, core_model


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

    def predict(self, test_dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """Predict as usual; where no sample has a known answer there is nothing that scores could mean."""
        if any(self.processing_class.batch_decode([*test_dataset["labels"]], skip_special_tokens=True)):
            return super().predict(test_dataset, *args, **kwargs)
        scores, self.compute_metrics = self.compute_metrics, None
        try:
            return super().predict(test_dataset, *args, **kwargs)
        finally:
            self.compute_metrics = scores

    def save_predictions(self, dataset: Any, *args: Any, **kwargs: Any) -> None:
        """Save the answers as usual, each with the bags or images that it is about."""
        super().save_predictions(dataset, *args, **kwargs)
        if self.is_world_process_zero():
            name_predictions(Path(self.args.output_dir), dataset, self.data_collator.processor.image_token)

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
