"""Look up the names of ``lr_mult``, ``lora_target`` and ``additional_target`` in the model before it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import nearest
from pathplugins.models.learning_rates import check_names
from pathplugins.models.unloaded import unloaded_model

_PARTS = {
    "freeze_vision_tower": ("vision_tower.",),
    "freeze_multi_modal_projector": ("multi_modal_projector.", "token_selector."),
    "freeze_language_model": ("model.", "lm_head."),
}


_OF_SELECTORS = ("text_query_projection",)
"""Layers of single token selectors: files name them for whichever is chosen, as the shipped one of stage 3 does."""


def check_rates(model_args: Any, finetuning_args: Any) -> None:
    """Raise where a key of ``lr_mult`` names no weight of the model, or of what a full training does not freeze.

    With a new LoRA adapter also where a name in ``lora_target`` or ``additional_target`` finds no module: such a
    name is left out in silence as long as another one is found.

    Args:
        model_args: of the run, whose model is in its directory.
        finetuning_args: of the run.
    """
    named = _lora_names(model_args, finetuning_args)
    core = unloaded_model(Path(model_args.model_name_or_path)) if model_args.lr_mult or named else None
    if core is None:
        return
    _check_lora_names(named, [name for name, _ in core.named_modules()])
    if not model_args.lr_mult:
        return
    full = finetuning_args.finetuning_type == "full"
    frozen = tuple(part for key, parts in _PARTS.items() if full and getattr(finetuning_args, key) for part in parts)
    check_names(model_args.lr_mult, [name for name, _ in core.named_parameters() if not name.startswith(frozen)])


def _lora_names(model_args: Any, finetuning_args: Any) -> dict[str, list[str]]:
    """Return what a new adapter is to be put on, by key; an adapter that is trained further knows that itself."""
    further = model_args.adapter_name_or_path and not finetuning_args.create_new_adapter
    if finetuning_args.finetuning_type != "lora" or further:
        return {}
    keys = {key: getattr(finetuning_args, key) or [] for key in ("lora_target", "additional_target")}
    return {key: names for key, names in keys.items() if names not in ([], ["all"])}


def _check_lora_names(named: dict[str, list[str]], modules: Sequence[str]) -> None:
    """Raise where a name finds no module: LLaMA-Factory takes any part of a name, PEFT its end for copied modules."""
    words, modules = {word for name in modules for word in name.split(".")}, [*modules, *_OF_SELECTORS]
    said = []
    for key, names in named.items():
        found = str.__contains__ if key == "lora_target" else str.endswith
        for name in names:
            if not any(found(module, name) for module in modules):
                near = nearest(name, words)
                hint = f"; did you mean {near}?" if near else ""
                said.append(f"{key}: no module of the model has {name!r} in its name{hint}")
    if said:
        raise PathPluginsError("\n".join(said))
