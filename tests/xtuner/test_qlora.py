"""QLoRA: the language model in four bits, everything else as it was."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from mmengine.config import Config
from safetensors import safe_open
from transformers.utils import is_bitsandbytes_multi_backend_available
from xtuner.registry import BUILDER

from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig
from pathplugins.models.custom_llava.modeling_custom_llava import CustomLlavaForConditionalGeneration
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint
from pathplugins.xtuner.export import export_checkpoint
from pathplugins.xtuner.parts import load_model, model_directory

pytestmark = pytest.mark.host

QLORA = """
from mmengine.config import read_base
from transformers import BitsAndBytesConfig

with read_base():
    from .pallava_smoke_align import *

model.llm.update(
    quantization_config=dict(
        type=BitsAndBytesConfig,
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype="float32",
    )
)
"""


@pytest.fixture(scope="module")
def config(folder: Path) -> Path:
    path = folder / "qlora.py"
    path.write_text(QLORA)
    return path


def kinds(model: torch.nn.Module) -> Counter[tuple[str, str]]:
    """(part, class) of the linear layers -> how many."""
    found = ((name.partition(".")[0], type(part).__name__) for name, part in model.named_modules())
    return Counter((part, kind) for part, kind in found if "Linear" in kind)


def test_the_language_model_alone_is_quantised(config: Path) -> None:
    """Which layers Transformers replaces with what the config makes; needs no GPU, and no weights."""
    llm = Config.fromfile(config).model.llm
    quantisation = BUILDER.build(llm.quantization_config)
    with contextlib.suppress(RuntimeError, AttributeError):  # what bitsandbytes says where there is no GPU
        load_model(llm.model, quantization_config=quantisation)
    with torch.device("meta"):
        model = CustomLlavaForConditionalGeneration(CustomLlavaConfig.from_pretrained(model_directory(llm.model)))
        before = kinds(model)
        after = kinds(
            transformers.integrations.replace_with_bnb_linear(
                model, quantisation.llm_int8_skip_modules, quantization_config=quantisation
            )
        )
    assert after == Counter({**before, ("model", "Linear"): 0, ("model", "Linear4bit"): before["model", "Linear"]})
    assert before["model", "Linear"] == 14
    assert min(before[part, "Linear"] for part in ("vision_tower", "multi_modal_projector", "lm_head")) >= 1


def test_qlora_trains_and_is_exported_unquantised(
    train_here: Callable[..., None], config: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not torch.cuda.is_available():
        if not is_bitsandbytes_multi_backend_available():
            pytest.skip("this bitsandbytes has no four-bit kernels for the CPU")
        # It has; Transformers 4.48 does not believe it.
        monkeypatch.setattr(transformers.integrations, "validate_bnb_backend_availability", lambda **_: True)
    train_here("qlora.py", "--work-dir", tmp_path / "work", "--seed", 1024)
    (log,) = (tmp_path / "work").glob("*/*.log")
    state = read_checkpoint(tmp_path / "work" / "iter_12.pth")
    assert {value.dtype for value in state.values()} == {torch.float32}
    assert all("lora_" in name or "multi_modal_projector." in name for name in state)
    assert len(state) == 84
    losses = [float(line.rpartition("loss: ")[2]) for line in log.read_text().splitlines() if "loss: " in line]
    assert losses[-1] < losses[0] / 2
    monkeypatch.chdir(folder)
    export_checkpoint(tmp_path / "work" / "iter_12.pth", config, tmp_path / "hf")
    with safe_open(tmp_path / "hf" / "model.safetensors", "pt") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F32"}  # noqa: SIM118
    assert "quantization_config" not in (tmp_path / "hf" / "config.json").read_text()
