"""Plugin of vLLM (entry point group ``vllm.general_plugins``): our language models in its engine."""

from __future__ import annotations

ARCHITECTURE = "CustomLlavaForConditionalGeneration"
"""``architectures`` in the ``config.json`` of every model directory."""


def register() -> None:
    """Teach this process's vLLM our model; vLLM calls it in every process, any number of times."""
    from vllm import ModelRegistry

    from pathplugins.models.custom_llava.auto import register as register_config

    register_config()
    if ARCHITECTURE not in ModelRegistry.get_supported_archs():
        ModelRegistry.register_model(ARCHITECTURE, "pathplugins.vllm_model:CustomLlavaLanguageModel")
