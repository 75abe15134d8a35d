"""Loading: what cannot work is said before the weights are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pathplugins.commands.loading import load_model, load_processor, reads_of
from pathplugins.core.errors import PathPluginsError

torch = pytest.importorskip("torch")


def test_a_model_comes_in_evaluation_mode_and_says_what_it_reads(vlm: Path) -> None:
    loaded = load_model(vlm, device="cpu", dtype="bfloat16")
    assert not loaded.model.training
    assert loaded.model.dtype is torch.bfloat16
    assert (loaded.reads, loaded.name) == ("bags", str(vlm))
    assert loaded.processor.num_image_tokens is not None


def test_an_image_model_reads_images(make_vlm: Any, pallava: dict[str, Any]) -> None:
    assert reads_of(load_processor(make_vlm(None, **pallava))) == "images"


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "--device gpu: no such device; give auto, cpu, cuda or cuda:N"),
        ("cuda:99", r"--device cuda:99: this machine shows PyTorch \d+ GPUs; give auto or cpu"),
    ],
)
def test_devices(vlm: Path, device: str, message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        load_model(vlm, device=device)


def test_an_adapter_of_another_model_is_refused(vlm: Path, make_vlm: Any, make_llm: Any, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    other = load_model(make_vlm(make_llm(hidden_size=48)), device="cpu").model
    config = peft.LoraConfig(r=2, target_modules=["q_proj"])
    peft.get_peft_model(other, config).save_pretrained(tmp_path)
    with pytest.raises(PathPluginsError, match=r"does not fit the model .*; give the model it was trained on"):
        load_model(vlm, adapter=tmp_path, device="cpu")
