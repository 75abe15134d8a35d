"""vLLM finds the plugin by itself, in every process and any number of times; run where vLLM is installed."""

from __future__ import annotations

import pytest

from pathplugins.vllm_plugin import ARCHITECTURE, register

vllm = pytest.importorskip("vllm")


def test_the_architecture_of_our_directories_is_known() -> None:
    from vllm.plugins import load_general_plugins

    load_general_plugins()
    register()
    register()
    assert ARCHITECTURE in vllm.ModelRegistry.get_supported_archs()
    from transformers import AutoConfig

    assert AutoConfig.for_model("custom_llava").model_type == "custom_llava"
