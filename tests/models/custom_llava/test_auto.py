"""The Auto classes of Transformers, in fresh processes: whoever comes first, all know the model."""

from __future__ import annotations

import subprocess
import sys

import pytest

CONFIG = "from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig"
KNOWN = "from transformers import AutoModelForImageTextToText as A; print(CustomLlavaConfig in A._model_mapping)"
FIRST = [
    f"{CONFIG}; CustomLlavaConfig()",
    f"import transformers; {CONFIG}; CustomLlavaConfig()",
    f"from pathplugins.models.custom_llava.auto import register; register(); register(); {CONFIG}",
    f"import pathplugins.models.custom_llava.modeling_custom_llava; {CONFIG}; CustomLlavaConfig()",
]
EACH = f"""
import os, sys
import torch
assert not [name for name in sys.modules if name.startswith(("transformers", "pathplugins.models"))]
for number, first in enumerate({FIRST!r}):
    if os.fork() == 0:
        sys.stdout.write(f"{{number}} ")
        exec(first + "; " + {KNOWN!r}, {{}})
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def said() -> subprocess.CompletedProcess[str]:
    """What each of them says in a process that has imported PyTorch, and nothing of Transformers or of ours."""
    return subprocess.run([sys.executable, "-c", EACH], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", range(len(FIRST)))
def test_the_model_is_registered(said: subprocess.CompletedProcess[str], number: int) -> None:
    assert f"{number} True" in said.stdout.splitlines(), said.stderr[-2000:]
