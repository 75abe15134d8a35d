"""Cases of several slides: `norm_mlp` with markers in a whole model, in a batch as alone, asked about as trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoProcessor

from pathplugins.models.custom_llava.placeholders import owned_images

WIDTH = 10
PARTS: dict[str, Any] = {
    "vision_model_name": "features",
    "vision_config": {"feature_dim": WIDTH},
    "random_vision_seed": None,
    "mm_projector_type": "norm_mlp",
    "projector_config": {"slide_markers": True, "max_slides": 3},
    "vision_feature_select_mode": "none",
    "image_seq_length": 4096,
    "patches_per_wsi": None,
    "patches_sampling": "first",
    "patches_per_case": 12,
}
TURN = "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"


@pytest.fixture(scope="module")
def made(make_llm: Callable[..., Path], make_vlm: Callable[..., Path], load: Callable[..., Any]) -> tuple[Any, Any]:
    directory = make_vlm(make_llm(tied=False), **PARTS)
    return load(directory), AutoProcessor.from_pretrained(directory)


@pytest.fixture(scope="module")
def bags(write_h5: Callable[..., Path]) -> list[Path]:
    return [write_h5("case47", 47), write_h5("case3", 3), write_h5("case30", 30)]


def wanted(model: Any, processor: Any, samples: list[list[Path]]) -> Tensor:
    """Vision tokens from the description: marker, rows, marker, rows, each slide by itself."""
    part, out = model.multi_modal_projector, []
    for owned in filter(None, samples):
        read = processor.image_processor(owned, samples=[len(owned)])
        for k, rows in enumerate(read["patch_features"].split(read["patch_counts"].tolist())):
            out.append((part.wsi_index_emb[k] + part.wsi_sep)[None])
            out.append(part.post_ln(part.mlp(part.pre_ln(rows.float()))))
    return torch.cat(out)


def test_markers_count_within_each_sample(made: tuple[Any, Any], bags: list[Path]) -> None:
    model, processor = made
    samples = [[bags[0], bags[1]], [], [bags[2], bags[0], bags[1]]]
    texts = [TURN.format("<image>" * len(owned) + "What is it?") for owned in samples]
    inputs = processor(texts, samples)
    got, counts = model.get_image_features(**{name: value for name, value in inputs.items() if name != "labels"})
    torch.testing.assert_close(got, wanted(model, processor, samples))
    assert counts == [10, 4, 5, 6, 4]
    marks = (inputs["input_ids"] == processor.image_token_id).sum(1).tolist()
    assert owned_images(marks, counts) == [[0, 1], [], [2, 3, 4]]
    together = model(**inputs).logits[:, -1]
    for row, (text, owned) in enumerate(zip(texts, samples, strict=True)):
        alone = model(**processor(text, owned)).logits[0, -1]
        torch.testing.assert_close(together[row], alone, rtol=0, atol=1e-5)


def test_the_order_of_slides_is_seen(made: tuple[Any, Any], bags: list[Path]) -> None:
    model, processor = made
    text = TURN.format("<image><image>What is it?")
    one, other = (model(**processor(text, pair)).logits[0, -1] for pair in (bags[:2], bags[1::-1]))
    assert not torch.allclose(one, other, atol=1e-4)
