"""Metrics of a part of the data while a run trains; the final report has more of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pathplugins.classify.recipes import Task
from pathplugins.core.optional import need


def metrics_of(task: Task, classes: int) -> dict[str, Any]:
    """Return name -> metric of torchmetrics, which adds up over batches and processes."""
    of_classes = need("torchmetrics.classification", extra="patchtcga")
    metrics: dict[str, Any] = {"loss": need("torchmetrics", extra="patchtcga").MeanMetric()}
    metrics["accuracy"] = of_classes.MulticlassAccuracy(classes, average="micro")
    if task == "classes":
        metrics["balanced_accuracy"] = of_classes.MulticlassAccuracy(classes, average="macro")
        return metrics
    metrics["miou"] = of_classes.MulticlassJaccardIndex(classes, average="macro")
    metrics["dice"] = of_classes.MulticlassF1Score(classes, average="macro")
    return metrics


@torch.no_grad()
def watched(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], *, task: Task, classes: int, device: Any
) -> dict[str, float]:
    """Return the metrics of a network, which is left in evaluation mode.

    Args:
        network: gives logits ``[B, K]``, or ``[B, K, S, S]`` for masks.
        batches: normalised pixels and labels on ``device``, of this process alone; every picture is in one process.
        task: what a label is.
        classes: K.
        device: where the metrics add up.
    """
    network.eval()
    metrics = {name: metric.to(device) for name, metric in metrics_of(task, classes).items()}
    for pixels, labels in batches:
        logits = network(pixels).float()
        metrics["loss"].update(cross_entropy(logits, labels), weight=len(labels))
        for name, metric in metrics.items():
            if name != "loss":
                metric.update(logits.argmax(1), labels)
    return {name: float(metric.compute()) for name, metric in metrics.items()}
