"""Rotary embedding of a language model's configuration, so that every Transformers version reads the same numbers."""

from __future__ import annotations

from typing import Any

import transformers
from transformers import PretrainedConfig


def legacy_rope(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with ``rope_theta`` and ``rope_scaling``, which all versions read.

    Transformers 5 saves ``rope_parameters`` alone. Version 4 does not know that name and computes with a base of 10,000
    instead, without a word: Llama 3, whose base is 500,000, then answers nonsense to anything long. Gemma 3 has two, of
    which the windowed layers' is ``rope_local_base_freq``.
    """
    parameters = settings.get("rope_parameters")
    if isinstance(parameters, dict) and parameters.keys() == {"full_attention", "sliding_attention"}:  # Gemma 3
        local = parameters["sliding_attention"] or {}
        if "rope_theta" in local and local.get("rope_type", "default") == "default":
            settings = {**settings, "rope_local_base_freq": local["rope_theta"]}
            return legacy_rope({**settings, "rope_parameters": parameters["full_attention"]})
    if not isinstance(parameters, dict) or "rope_theta" not in parameters:
        return settings
    kept = {name: value for name, value in settings.items() if name != "rope_parameters"}
    scaling = {name: value for name, value in parameters.items() if name != "rope_theta"}
    plain = scaling.get("rope_type", "default") == "default"
    return {**kept, "rope_theta": parameters["rope_theta"], "rope_scaling": None if plain else scaling}


def correct_rope(config: PretrainedConfig) -> None:
    """Correct a configuration that version 4 has read out of a file of version 5 in the same way."""
    _as_every_version_reads_yarn(config)
    both = {name: vars(config).get(name) for name in ("rope_theta", "rope_parameters")}
    if None in both.values():
        return  # each version's own files
    for name, value in legacy_rope({"rope_parameters": both["rope_parameters"]}).items():
        setattr(config, name, value)
    del config.rope_parameters


def _as_every_version_reads_yarn(config: PretrainedConfig) -> None:
    """Say a YaRN's trained length as ``max_position_embeddings`` alone in version 4.

    Of ``original_max_position_embeddings`` beside it 4.48 takes no notice, and 4.52 takes the ratio of the two in place
    of the factor: 1, no scaling at all, for the settings that Qwen publishes. Version 5 reads either way.
    """
    scaling = getattr(config, "rope_scaling", None)
    if int(transformers.__version__.split(".")[0]) > 4 or not isinstance(scaling, dict):
        return
    original = scaling.get("original_max_position_embeddings")
    if scaling.get("rope_type", scaling.get("type")) == "yarn" and original and scaling.get("factor"):
        config.max_position_embeddings = original
        config.rope_scaling = {
            key: value for key, value in scaling.items() if key != "original_max_position_embeddings"
        }
