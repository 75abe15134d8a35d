"""The attention of an answer is what Transformers shows of the whole forward, a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava import answer_attention as module
from pathplugins.models.custom_llava.answer_attention import answer_attention
from pathplugins.models.custom_llava.opened_image import OpenedImage

TURN = (
    "<|start_header_id|>user<|end_header_id|>\n\n<image>What?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n"
)
PARTS: dict[str, dict[str, Any]] = {
    "llama": {},
    "by the question": {"vision_feature_select_mode": "prompt_topk"},
    "as many as needed": {"vision_feature_select_mode": "prumerge_adaptive"},
    "prefix": {"use_prefix_lm_mask": True},
    "images": {"image_aspect_ratio": "pad"},
    "gemma2": {"model_type": "gemma2"},
    "qwen2": {"model_type": "qwen2"},
    "stablelm": {"model_type": "stablelm"},
}


@pytest.mark.parametrize("name", PARTS)
def test_it_is_the_attention_of_the_whole_forward(
    name: str,
    make_llm: Callable[..., Path],
    make_vlm: Callable[..., Path],
    load: Callable[..., Any],
    write_h5: Callable[..., Path],
    picture: Callable[..., Image.Image],
    pallava: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {**pallava, **PARTS[name]} if name == "images" else dict(PARTS[name])
    directory = make_vlm(make_llm(tied=False, model_type=settings.pop("model_type", "llama")), **settings)
    processor, model = AutoProcessor.from_pretrained(directory), load(directory)
    path = tmp_path / "picture.png" if name == "images" else write_h5("looked_at", 9)
    if name == "images":
        picture(37, 44).save(path)
    inputs = dict(processor(TURN, [path]))
    answer = torch.tensor(processor.tokenizer("The slide shows invasive carcinoma.")["input_ids"])
    usual = model._causal.config._attn_implementation
    got = answer_attention(model, inputs, answer)
    assert model._causal.config._attn_implementation == usual

    ids = torch.cat([inputs["input_ids"], answer[None]], 1)
    prompt = inputs["input_ids"].shape[1]
    whole = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if name == "prefix":
        whole["labels"] = torch.cat([torch.full((1, prompt), -100), answer[None]], 1)
    model._causal.config._attn_implementation = "eager"
    with torch.no_grad():
        layers = model(**whole, output_attentions=True).attentions
    model._causal.config._attn_implementation = usual
    image = ids[0] == processor.image_token_id
    if name == "as many as needed":
        image &= model._still_seen[0].bool()
        assert int(image.sum()) < int((ids == processor.image_token_id).sum())
    right = torch.stack(layers)[:, 0].mean((0, 1))[prompt - 1 : -1, image]  # [A, V]
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, right, atol=1e-6, rtol=1e-5)
    assert ((got > 0) & (got < 1)).all()
    monkeypatch.setattr(module, "HELD", 1)  # row by row
    opened = OpenedImage(model, processor, path)  # its placeholders are as many as its tokens
    torch.testing.assert_close(answer_attention(model, opened.inputs(TURN), answer), got, atol=1e-6, rtol=1e-5)


def test_an_adapter_looks_too(shared: Any, vlm: Path, load: Callable[..., Any], write_h5: Callable[..., Path]) -> None:
    peft = pytest.importorskip("peft")
    processor, model = AutoProcessor.from_pretrained(vlm), load(vlm)
    answer = torch.tensor(processor.tokenizer("The slide")["input_ids"])
    path = write_h5("adapted", 9)
    plain = answer_attention(shared, OpenedImage(shared, processor, path).inputs(TURN), answer)
    names = r"model\.layers\.\d\.self_attn\.(q|k)_proj"
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=names, init_lora_weights=False)).eval()
    inputs = OpenedImage(adapted, processor, path).inputs(TURN)
    changed = answer_attention(adapted, inputs, answer)
    assert not torch.allclose(changed, plain)
    torch.testing.assert_close(answer_attention(adapted.merge_and_unload(), inputs, answer), changed, atol=1e-5, rtol=0)


def test_what_cannot_be_traced_is_refused(
    shared: Any,
    processor: Any,
    make_vlm: Callable[..., Path],
    load: Callable[..., Any],
    write_h5: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened, answer = OpenedImage(shared, processor, write_h5("refused", 9)), torch.tensor([5, 6])
    with pytest.raises(PathPluginsError, match="the answer is empty"):
        answer_attention(shared, opened.inputs(TURN), answer[:0])
    with pytest.raises(PathPluginsError, match="the prompt ends with the image"):
        answer_attention(shared, opened.inputs("What?<image>"), answer)
    model = load(make_vlm(None))
    plain = type(model).forward

    def silent(*args: Any, **inputs: Any) -> Any:
        """A language model one of whose layers shows nothing."""
        output = plain(model, *args, **inputs)
        if output.attentions is not None:
            output["attentions"] = output.attentions[1:]
        return output

    monkeypatch.setattr(model, "forward", silent)
    with pytest.raises(PathPluginsError, match="1 of 2 layers of the language model show their attention"):
        answer_attention(model, opened.inputs(TURN), answer)
    monkeypatch.setattr(model.config.text_config, "layer_types", ["linear_attention", "full_attention"], raising=False)
    with pytest.raises(PathPluginsError, match="has layers of linear_attention, which show no attention"):
        answer_attention(model, opened.inputs(TURN), answer)
    assert model._causal.config._attn_implementation == "sdpa"
