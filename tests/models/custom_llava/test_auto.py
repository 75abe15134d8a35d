"""The Auto classes of Transformers, in fresh processes: whoever comes first, all know the model."""

from __future__ import annotations

import subprocess
import sys

import pytest

CONFIG = "from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig"
KNOWN = "from transformers import AutoModelForImageTextToText as A; print(CustomLlavaConfig in A._model_mapping)"


@pytest.mark.parametrize(
    "first",
    [
        f"{CONFIG}; CustomLlavaConfig()",
        f"import transformers; {CONFIG}; CustomLlavaConfig()",
        f"from pathplugins.models.custom_llava.auto import register; register(); register(); {CONFIG}",
        f"import pathplugins.models.custom_llava.modeling_custom_llava; {CONFIG}; CustomLlavaConfig()",
    ],
)
def test_the_model_is_registered(first: str) -> None:
    run = subprocess.run([sys.executable, "-c", f"{first}; {KNOWN}"], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "True", run.stderr[-2000:]
