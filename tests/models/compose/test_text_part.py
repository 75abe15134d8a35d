"""The language model of a Gemma 3 that also sees: cut out once, the same numbers, the vision part left out and said."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from gemma_models import build_gemma3, has_gemma3, needs_gemma3
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.language_model import read_text_config
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.compose.text_part import text_part, text_settings
from pathplugins.weights.names.gemma3 import language_name

TEXTS = ["What is the dominant tissue? The slide shows invasive carcinoma."] * 3


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))


def rename(llm: Path, names: str) -> None:
    """By the names of Transformers up to 4.51, which the published files have, or by those of its later modules."""
    state = {}
    for name, value in load_file(llm / "model.safetensors").items():
        ours = language_name(name)
        if ours == "":
            ours = ("" if names == "old" else "model.") + name.removeprefix("model.")
        elif names == "old":
            ours = f"language_model.{ours}"
        elif ours != "lm_head.weight":
            ours = ours.replace("model.", "model.language_model.", 1)
        state[ours] = value
    save_file(state, llm / "model.safetensors", metadata={"format": "pt"})


@needs_gemma3
@pytest.mark.parametrize("names", ["old", "new"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_cut_model_computes_the_same(
    make_spec: Callable[..., ComposeSpec], tmp_path: Path, caplog: pytest.LogCaptureFixture, names: str, tied: bool
) -> None:
    llm = build_gemma3(tmp_path / "llm", TEXTS, tied=tied)
    whole = AutoModelForImageTextToText.from_pretrained(llm)
    rename(llm, names)
    with caplog.at_level(logging.WARNING):
        out = compose(make_spec(llm), tmp_path / "out")
    assert "tensors of its own vision part are left out" in caplog.text
    model, info = AutoModelForImageTextToText.from_pretrained(out, output_loading_info=True)
    assert not info["missing_keys"], info
    assert not info["mismatched_keys"], info
    assert (model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()) is tied
    ids = torch.tensor([[2, 30, 40, 50, 60]])
    torch.testing.assert_close(model(ids).logits, whole(input_ids=ids).logits)
    settings = read_json(out / "config.json")
    assert settings["text_config"]["model_type"] == "gemma3_text"
    assert settings["text_config"]["eos_token_id"] == whole.config.text_config.eos_token_id
    before = caplog.text.count("left out")
    assert text_part(llm) == text_part(llm)  # once
    assert caplog.text.count("left out") == before


@needs_gemma3
def test_a_text_only_gemma_is_itself_and_trains_without_token_type_ids(
    make_spec: Callable[..., ComposeSpec], tmp_path: Path
) -> None:
    """Transformers 5 asks Gemma 3 for them while it trains, but not the class of its language model."""
    llm = build_gemma3(tmp_path / "llm", TEXTS, sees=False)
    assert text_part(llm) == llm
    model = AutoModelForImageTextToText.from_pretrained(compose(make_spec(llm), tmp_path / "out")).train()
    ids = torch.tensor([[2, 30, 40, 50, 60]])
    model(input_ids=ids, labels=ids).loss.backward()
    assert model.model.layers[0].mlp.up_proj.weight.grad.abs().sum() > 0


@needs_gemma3
def test_the_image_token_of_gemma_stands_for_a_vision_token(
    make_spec: Callable[..., ComposeSpec], tmp_path: Path
) -> None:
    out = compose(make_spec(build_gemma3(tmp_path / "llm", TEXTS)), tmp_path / "out")
    assert read_json(out / "processor_config.json") == {"image_token": "<image_soft_token>"}


def test_settings_of_the_text_part() -> None:
    """MedGemma's file says type and end tokens at the top, and nothing of tying."""
    config = {
        "model_type": "gemma3",
        "torch_dtype": "bfloat16",
        "eos_token_id": [1, 106],
        "text_config": {"hidden_size": 2560, "model_type": "gemma3_text", "rope_scaling": {"factor": 8.0}},
        "vision_config": {"hidden_size": 1152},
    }
    told = text_settings(config)
    assert told["model_type"] == "gemma3_text"
    assert told["torch_dtype"] == "bfloat16"
    assert told["eos_token_id"] == [1, 106]
    assert told["tie_word_embeddings"] is True
    assert told["rope_scaling"] == {"factor": 8.0}
    assert text_settings({**config, "tie_word_embeddings": False})["tie_word_embeddings"] is False


@needs_gemma3
@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("adapter", "1 tensors belong neither to a language model"),
        ("missing", r"lacks 1 of the \d+ weights"),
        ("quantised", "is quantised"),
    ],
)
def test_refuses_what_is_not_whole(
    make_spec: Callable[..., ComposeSpec], tmp_path: Path, broken: str, message: str
) -> None:
    llm = build_gemma3(tmp_path / "llm", TEXTS)
    state = load_file(llm / "model.safetensors")
    if broken == "adapter":
        state["base_model.model.lora_A.weight"] = torch.zeros(2)
    elif broken == "missing":
        del state[next(name for name in state if name.endswith("model.norm.weight"))]
    else:
        config = read_json(llm / "config.json")
        write_json(llm / "config.json", {**config, "quantization_config": {"bits": 4}})
    save_file(state, llm / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=message):
        compose(make_spec(llm), tmp_path / "out")


@pytest.mark.skipif(has_gemma3, reason="this Transformers has Gemma 3")
def test_a_transformers_without_gemma_says_so(make_llm: Callable[..., Path], tmp_path: Path) -> None:
    llm = Path(shutil.copytree(make_llm(), tmp_path / "llm"))
    write_json(llm / "config.json", {"model_type": "gemma3_text", "vocab_size": 9, "hidden_size": 8})
    with pytest.raises(CheckpointError, match="has no gemma3_text; train it in another trainer"):
        read_text_config(llm)
    write_json(llm / "config.json", {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}})
    with pytest.raises(CheckpointError, match=r"has no gemma3_text.*LLaMA-Factory; XTuner pins"):
        text_part(llm)
