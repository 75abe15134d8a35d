"""An opened image gives the answers of an image given with each question, and is encoded once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from pathplugins.models.custom_llava.opened_image import OpenedImage

PARTS: dict[str, dict[str, Any]] = {
    "slides": {"vision_feature_select_mode": "random_sample", "patches_per_wsi": 10},
    "slides, by the question": {"vision_feature_select_mode": "prompt_topk", "patches_per_wsi": 10},
    "slides, as many as needed": {"vision_feature_select_mode": "prumerge_adaptive", "patches_per_wsi": 10},
    "slides, prefix": {"use_prefix_lm_mask": True, "patches_per_wsi": 10},
    "images": {"image_aspect_ratio": "pad"},
}
TURN = (
    "<|start_header_id|>user<|end_header_id|>\n\n<image>{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"repetition_penalty": 1.4}], ids=str)
def test_it_answers_as_if_the_image_had_been_given(
    name: str,
    options: dict[str, Any],
    make_llm: Callable[..., Path],
    make_vlm: Callable[..., Path],
    load: Callable[..., Any],
    write_h5: Callable[..., Path],
    picture: Callable[..., Image.Image],
    pallava: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {**pallava, **PARTS[name]} if name == "images" else PARTS[name]
    directory = make_vlm(make_llm(tied=False), **settings)
    processor, model = AutoProcessor.from_pretrained(directory), load(directory)
    path = tmp_path / "picture.png" if name == "images" else write_h5("opened", 9)
    if name == "images":
        picture(37, 44).save(path)
    never = model.config.image_token_id
    model.generation_config.suppress_tokens, model.generation_config.eos_token_id = [never], never
    options = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 1, **options}
    prompts = [TURN.format(text) for text in ("What is it?", "Why is the tissue so dominant?")]
    wanted = []
    for prompt in prompts:
        inputs = processor(prompt, [path])
        wanted.append(model.generate(**inputs, **options)[0, inputs["input_ids"].shape[1] :])
    runs: list[int] = []
    plain = model.select_image_tokens

    @functools.wraps(plain)
    def counted(*args: Any, **vision: Any) -> Any:
        runs.append(1)
        return plain(*args, **vision)

    monkeypatch.setattr(model, "select_image_tokens", counted)
    opened = OpenedImage(model, processor, path)
    for prompt, right in zip(prompts, wanted, strict=True):
        inputs = opened.inputs(prompt)
        told = model.generate(**inputs, **options)[0, inputs["input_ids"].shape[1] :]
        assert torch.equal(told, right)
    assert len(runs) == (2 if name == "slides, by the question" else 1)


def test_tokens_given_are_the_tokens_used(shared: Any, processor: Any, write_h5: Callable[..., Path]) -> None:
    opened = OpenedImage(shared, processor, write_h5("used", 9))
    inputs = opened.inputs(TURN.format("What?"))
    assert int((inputs["input_ids"] == processor.image_token_id).sum()) == int(inputs["vision_counts"].sum())
    with torch.no_grad():
        plain = shared(**inputs).logits
        inputs["vision_tokens"] = inputs["vision_tokens"] * 0
        without = shared(**inputs).logits
    assert not torch.equal(plain, without)
    shared.ablate_vision = True
    try:
        with torch.no_grad():
            assert torch.equal(shared(**opened.inputs(TURN.format("What?"))).logits, without)
    finally:
        shared.ablate_vision = False
