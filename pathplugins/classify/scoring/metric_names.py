"""Names of the metrics: how a report titles each one, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricName:
    """A metric in words."""

    title: str
    meaning: str


METRICS: dict[str, MetricName] = {
    "accuracy": MetricName("Accuracy", "share of samples with the right class"),
    "balanced_accuracy": MetricName("Balanced accuracy", "recall, averaged over the classes in the data"),
    "auroc": MetricName("AUROC", "area under the ROC curve, averaged over the classes, each against the rest"),
    "f1_macro": MetricName("F1, macro", "F1, averaged over the classes in the data"),
    "ece": MetricName(
        "Calibration error", "ECE: gap between confidence and accuracy over 15 bins; 0 is best; intervals lean high"
    ),
    "brier": MetricName("Brier score", "squared distance of the probabilities from the truth; 0 is best"),
    "miou_micro": MetricName("mIoU, micro", "IoU over the pixels of all pictures, averaged over classes"),
    "miou_macro": MetricName("mIoU, macro", "IoU averaged over the classes of a picture, then over pictures"),
    "dice_micro": MetricName("Dice, micro", "Dice over the pixels of all pictures, averaged over classes"),
    "dice_macro": MetricName("Dice, macro", "Dice averaged over the classes of a picture, then over pictures"),
    "mpa": MetricName("mPA", "share of right pixels in each class, averaged over the classes in the data"),
    "pixel_accuracy": MetricName("Pixel accuracy", "share of pixels with the right class"),
    "precision": MetricName("Precision", "share of its predictions that are right"),
    "recall": MetricName("Recall", "share of its samples that are found"),
    "f1": MetricName("F1", "harmonic mean of precision and recall"),
    "iou": MetricName("IoU", "intersection over union"),
    "dice": MetricName("Dice", "twice the intersection over the sum"),
}
"""Key in ``report.json`` -> its words."""

PER_CLASS = {
    "classes": ("precision", "recall", "f1", "auroc"),
    "masks": ("iou", "dice", "pixel_accuracy"),
}
"""Task -> measures of a class, in the order of the tables."""
