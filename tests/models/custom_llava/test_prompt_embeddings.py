"""Prompt embeddings give the logits of the prompt, and need no layer of the language model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.models.custom_llava.opened_image import OpenedImage
from pathplugins.models.custom_llava.prompt_embeddings import load_vision_side, prompt_embeddings

TURN = "<|start_header_id|>user<|end_header_id|><image>What?<|eot_id|><|start_header_id|>assistant<|end_header_id|>"

PARTS: dict[str, dict[str, Any]] = {
    "llama": {},
    "by the question": {"vision_feature_select_mode": "prompt_topk"},
    "as many as needed": {"vision_feature_select_mode": "prumerge_adaptive"},
    "gemma2": {"model_type": "gemma2"},
    "images": {},
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("tied", [False, True])
def test_the_language_model_alone_answers_the_same(
    name: str,
    tied: bool,
    make_llm: Callable[..., Path],
    make_vlm: Callable[..., Path],
    load: Callable[..., Any],
    write_h5: Callable[..., Path],
    picture: Callable[..., Image.Image],
    pallava: dict[str, Any],
    tmp_path: Path,
) -> None:
    settings = {**(pallava if name == "images" else {}), **PARTS[name]}
    directory = make_vlm(make_llm(tied=tied, model_type=settings.pop("model_type", "llama")), **settings)
    processor, model = AutoProcessor.from_pretrained(directory), load(directory)
    path = tmp_path / "picture.png" if name == "images" else write_h5("embedded", 9)
    if name == "images":
        picture(37, 44).save(path)
    side = load_vision_side(directory, dtype=torch.float32)
    assert not any(".layers." in key and key.startswith("model.") for key in side.state_dict())
    embeds = prompt_embeddings(side, OpenedImage(side, processor, path), TURN)
    with torch.no_grad():
        whole = model(**processor(TURN, [path])).logits[0, -1]
        alone = model._causal(inputs_embeds=embeds[None]).logits[0, -1]
    torch.testing.assert_close(alone, whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(prompt_embeddings(model, OpenedImage(model, processor, path), TURN), embeds)


def test_a_prompt_that_is_read_in_both_directions_is_refused(
    make_llm: Callable[..., Path], make_vlm: Callable[..., Path], write_h5: Callable[..., Path]
) -> None:
    directory = make_vlm(make_llm(tied=False), use_prefix_lm_mask=True)
    processor, side = AutoProcessor.from_pretrained(directory), load_vision_side(directory)
    with pytest.raises(PathPluginsError, match="reads its prompt in both directions"):
        prompt_embeddings(side, OpenedImage(side, processor, write_h5("embedded", 9)), TURN)


def test_missing_weights_are_not_made_up(vlm: Path, tmp_path: Path, load: Callable[..., Any]) -> None:
    load(vlm).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    left = {name: value for name, value in weights.items() if "projector" not in name}
    save_file(left, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks \d+ weights"):
        load_vision_side(tmp_path)
