"""Quick start: import of Transformers without what asking never uses, before anything else imports it.

For programs of ours that answer and end: in them no assistant guesses, no loss is taken and torchvision reads no image
(ours are read by Pillow).
"""

from __future__ import annotations

import importlib
import sys

from pathplugins.core.late_imports import late_imports

LATE = {
    "scipy.optimize": ("linear_sum_assignment",),  # losses of object detection
    "sklearn.metrics": ("roc_curve",),  # assisted generation
}
ABSENT = ("torchvision",)
NEEDED = (
    *("transformers.modeling_utils", "transformers.generation.utils", "transformers.processing_utils"),
    *("transformers.image_processing_utils", "transformers.models.auto.modeling_auto"),
)


def start_quickly() -> None:
    """Import Transformers for a program that answers; does nothing where it is imported already."""
    if "transformers" in sys.modules:
        return
    with late_imports(LATE, ABSENT):
        for name in NEEDED:
            importlib.import_module(name)
