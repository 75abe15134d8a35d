"""Look up the names of ``lr_mult`` in the model before it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pathplugins.models.learning_rates import check_names
from pathplugins.models.unloaded import unloaded_model

_PARTS = {
    "freeze_vision_tower": ("vision_tower.",),
    "freeze_multi_modal_projector": ("multi_modal_projector.", "token_selector."),
    "freeze_language_model": ("model.", "lm_head."),
}


def check_rates(model_args: Any, finetuning_args: Any) -> None:
    """Raise where a key of ``lr_mult`` names no weight of the model, or of what a full training does not freeze.

    Args:
        model_args: of the run, whose model is in its directory.
        finetuning_args: of the run.
    """
    core = unloaded_model(Path(model_args.model_name_or_path)) if model_args.lr_mult else None
    if core is None:
        return
    full = finetuning_args.finetuning_type == "full"
    frozen = tuple(part for key, parts in _PARTS.items() if full and getattr(finetuning_args, key) for part in parts)
    check_names(model_args.lr_mult, [name for name, _ in core.named_parameters() if not name.startswith(frozen)])
