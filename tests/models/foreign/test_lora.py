"""LoRA merged into a language model: against the formula, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.models.foreign.lora import merged
from pathplugins.weights import open_weights
from pathplugins.weights.names.lora import lora_pairs

LAYERS = {"self_attn.q_proj": (6, 8), "mlp.down_proj": (8, 10)}


def llm() -> dict[str, Tensor]:
    torch.manual_seed(0)
    state = {f"model.layers.{n}.{name}.weight": torch.randn(shape) for n in (0, 1) for name, shape in LAYERS.items()}
    norms = {f"model.layers.{n}.input_layernorm.weight": torch.ones(8) for n in (0, 1)}
    return {"model.embed_tokens.weight": torch.randn(12, 8), **state, **norms, "lm_head.weight": torch.randn(12, 8)}


def adapter(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    torch.manual_seed(1)
    state = {}
    for n in (0, 1):
        for name, (out, into) in LAYERS.items():
            module = f"llm.base_model.model.model.layers.{n}.{name}"
            state[f"{module}.lora_A.weight"] = torch.randn(3, into, dtype=dtype)
            state[f"{module}.lora_B.weight"] = torch.randn(out, 3, dtype=dtype)
    return state


def stored(folder: Path, name: str, state: dict[str, Tensor]) -> dict[str, object]:
    torch.save(state, folder / name)
    return open_weights(folder / name).stored


@pytest.mark.parametrize(("of_llm", "of_lora"), [("float64",) * 2, ("float32",) * 2, ("bfloat16", "float32")])
def test_weights_are_those_of_the_formula(tmp_path: Path, of_llm: str, of_lora: str) -> None:
    base = {name: value.to(getattr(torch, of_llm)) for name, value in llm().items()}
    lora = adapter(getattr(torch, of_lora))
    pairs, _ = lora_pairs(stored(tmp_path, "lora.bin", lora), where="here")
    found = merged(stored(tmp_path, "llm.bin", base), pairs, scale=2.5, where="here")
    for name, value in base.items():
        module = f"llm.base_model.model.{name.removesuffix('.weight')}"
        wanted = value
        if f"{module}.lora_A.weight" in lora:
            up, down = (lora[f"{module}.lora_{side}.weight"].double() for side in "BA")
            wanted = value.double() + torch.einsum("or,ri->oi", up, down) * 2.5
        got = found[name].read()
        assert got.dtype == value.dtype
        tolerance = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 0.05}[of_llm]
        torch.testing.assert_close(got.double(), wanted.double(), rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(found[name].rows(1, 3), got[1:3], rtol=1e-6, atol=1e-6)


def test_chosen_modules_alone(tmp_path: Path) -> None:
    lora = {name: value for name, value in adapter().items() if "q_proj" in name}
    pairs, _ = lora_pairs(stored(tmp_path, "lora.bin", lora), where="here")
    found = merged(stored(tmp_path, "llm.bin", llm()), pairs, scale=1, where="here", leaves=["q_proj"])
    assert torch.equal(
        found["model.layers.0.mlp.down_proj.weight"].read(), llm()["model.layers.0.mlp.down_proj.weight"]
    )
    with pytest.raises(CheckpointError, match="2 missing"):
        merged(stored(tmp_path, "llm.bin", llm()), pairs, scale=1, where="here")


def test_another_language_model_is_refused(tmp_path: Path) -> None:
    pairs, _ = lora_pairs(stored(tmp_path, "lora.bin", adapter()), where="here")
    fewer = {name: value for name, value in llm().items() if "layers.1" not in name}
    with pytest.raises(CheckpointError, match="2 unexpected"):
        merged(stored(tmp_path, "llm.bin", fewer), pairs, scale=1, where="here")
    wider = {name: torch.zeros(7, 8) if "q_proj" in name else value for name, value in llm().items()}
    with pytest.raises(CheckpointError, match=r"is for \(6, 8\), --llm has \(7, 8\)"):
        merged(stored(tmp_path, "llm.bin", wider), pairs, scale=1, where="here")
