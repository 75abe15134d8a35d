"""Rows of several samples: the loss, the gradients and the choice of patches are those of the samples one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoProcessor

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.packed_rows import (
    block_diagonal,
    check_packed,
    each_sample,
    joined,
    one_row,
    sample_numbers,
)
from pathplugins.models.custom_llava.placeholders import pack_to_left, positions_of
from pathplugins.models.custom_llava.prefix_lm import prefix_lm_mask
from pathplugins.models.selectors import SELECTORS

NUMBERS = torch.tensor([[1, 1, 2, 2, 2, 0], [1, 2, 2, 3, 3, 3]])
TURN = (
    "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    "It is the wall.<|eot_id|>"
)


def test_samples_are_told_by_positions_that_begin_anew() -> None:
    positions = torch.tensor([[0, 1, 0, 1, 2, 0], [0, 0, 1, 0, 1, 2]])
    seen = NUMBERS.ne(0).long()
    assert torch.equal(sample_numbers(positions, seen), NUMBERS)
    assert torch.equal(positions_of(NUMBERS) * seen, positions)
    assert torch.equal(positions_of(torch.tensor([[0, 0, 1, 1]])), torch.tensor([[0, 0, 0, 1]]))
    whole = torch.arange(6).expand(2, 6)
    assert sample_numbers(None, seen) is sample_numbers(whole, None) is sample_numbers(positions[:1], seen) is None
    left = torch.tensor([[0, 0, 0, 1], [0, 1, 2, 3]])  # padding on the left has position 0 as well
    assert sample_numbers(left, torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])) is None


def test_no_sample_sees_another() -> None:
    mask = block_diagonal(NUMBERS, torch.zeros(2, 6, 3))
    assert mask.shape == (2, 1, 6, 6)
    for row, numbers in enumerate(NUMBERS.tolist()):
        for query, mine in enumerate(numbers):
            seen = [key for key in range(6) if mask[row, 0, query, key] == 0]
            wanted = [key for key in range(query + 1) if numbers[key] and mine in (0, numbers[key])]
            assert seen == wanted
    labels = torch.tensor([[-100, 5, -100, -100, 6, -100], [-100, -100, 7, -100, -100, 8]])
    prefix = prefix_lm_mask(NUMBERS, labels, torch.zeros(2, 6, 3))[:, 0] == 0
    assert prefix[0].int().tolist()[:5] == [
        *([1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]),
        *([0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 1, 0]),
    ]
    assert prefix[1, 3].int().tolist() == [0, 0, 0, 1, 1, 0]


def test_hidden_tokens_are_left_out_of_their_samples() -> None:
    numbers = torch.tensor([[1, 0, 1, 2, 0, 0, 2, 2]])
    embeds, labels = torch.arange(8.0)[None, :, None], torch.arange(8)[None]
    packed, seen, kept = pack_to_left(embeds, numbers, labels)
    assert (packed.flatten().tolist(), kept.tolist()) == ([0, 2, 3, 6, 7], [[0, 2, 3, 6, 7]])
    assert positions_of(seen).tolist() == [[0, 1, 0, 1, 2]]
    row, places, own = one_row(embeds, numbers, torch.arange(8)[None], labels)
    assert (row.shape, places.tolist(), own.tolist()) == ((1, 5, 1), [[0, 2, 3, 6, 7]], [[0, 2, 3, 6, 7]])


def test_samples_are_joined_whole() -> None:
    batch = {
        "input_ids": torch.tensor([[7, 8, 9, 4, 4], [0, 0, 5, 6, 7], [3, 2, 1, 0, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 1, 1, 0, 0]]),
        "labels": torch.tensor([[7, 8, 9, -100, -100], [-100, -100, 5, 6, 7], [-100, -100, 1, -100, -100]]),
    }
    got = joined(batch, [2, 1], padding=0, hidden=4, multiple=4)
    assert {name: value.tolist() for name, value in got.items()} == {
        "input_ids": [[7, 8, 9, 5, 6, 7, 4, 4], [3, 2, 1, 0, 0, 0, 0, 0]],
        "attention_mask": [[1, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0]],
        "labels": [[-100, 8, 9, -100, 6, 7, -100, -100], [-100, -100, 1, *[-100] * 5]],
        "position_ids": [[0, 1, 2, 0, 1, 2, 0, 0], [0, 1, 2, 0, 0, 0, 0, 0]],
    }
    assert [list(ids) for ids, _ in each_sample([7, 8, 9, 4], [1, 1, 2, 0])] == [[7, 8], [9], [4]]
    assert list(each_sample([7, 8], [0, 1])) == [([7, 8], [0, 1])]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layer_types": ["linear_attention", "full_attention"]}, "linear_attention layers of toy carry one sample"),
        ({"_attn_implementation": "flex_attention"}, "flex_attention takes no mask by samples"),
        ({"sliding_window": 2}, "a sample of 3 tokens does not fit the LLM's window of 2"),
    ],
)
def test_a_language_model_that_would_leak_is_refused(options: dict[str, Any], said: str) -> None:
    config = {"_attn_implementation": "sdpa", "model_type": "toy", **options}
    with pytest.raises(PathPluginsError, match=said):
        check_packed(SimpleNamespace(**config), NUMBERS)
    check_packed(
        SimpleNamespace(**{**config, "sliding_window": 3, "_attn_implementation": "sdpa", "layer_types": None}), NUMBERS
    )
    check_packed(SimpleNamespace(_attn_implementation="flash_attention_2", sliding_window=2), NUMBERS)


def unpacked(directory: Path, processor: Any, write_h5: Callable[..., Path]) -> dict[str, Tensor]:
    """Five samples: texts, one bag, two, one smaller than any budget; every token but the images' is learnt."""
    bags = [write_h5(f"packed{rows}", rows) for rows in (17, 4, 20, 3)]
    asked = [
        "<image>\nWhat is this?",
        "Hello there, words alone?",
        "<image>Compare it with<image>",
        "Hi?",
        "Is it?<image>",
    ]
    owned = [bags[:1], [], bags[1:3], [], bags[3:]]
    inputs = dict(processor([TURN.format(text) for text in asked], owned, padding_side="right"))
    hidden = (inputs["attention_mask"] == 0) | (inputs["input_ids"] == processor.image_token_id)
    return {**inputs, "labels": inputs["input_ids"].masked_fill(hidden, -100)}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("mode", "prefix", "attention"),
    [
        *((mode, False, "sdpa") for mode in SELECTORS),
        ("prompt_topk", True, "eager"),
        ("prumerge_adaptive", True, "sdpa"),
    ],
)
def test_losses_and_gradients_are_those_of_the_samples(
    make_vlm: Callable[..., Path],
    load: Callable[..., Any],
    grads: Callable[..., Any],
    write_h5: Callable[..., Path],
    mode: str,
    prefix: bool,
    attention: str,
    training: bool,
) -> None:
    directory = make_vlm(None, vision_feature_select_mode=mode, use_prefix_lm_mask=prefix)
    processor = AutoProcessor.from_pretrained(directory)
    model = load(directory, attn_implementation=attention).train(training)
    inputs = unpacked(directory, processor, write_h5)
    own = inputs["labels"].clone()
    own[:, 0] = -100
    wanted = model(**{**inputs, "labels": own}).loss
    wanted.backward()
    before = grads(model)
    model.zero_grad()
    rows = joined(inputs, [3, 2], padding=0, hidden=processor.image_token_id, multiple=8)
    assert rows["input_ids"].shape[0] == 2
    got = model(**{**inputs, **rows}).loss
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
    got.backward()
    for name, value in grads(model).items():
        torch.testing.assert_close(value, before[name], atol=2e-5, rtol=1e-3, msg=name)


def test_whom_a_sample_stands_beside_changes_nothing(
    make_vlm: Callable[..., Path], load: Callable[..., Any], write_h5: Callable[..., Path]
) -> None:
    """Without the numbers of the samples the loss is another one: the test above would see a leak."""
    directory = make_vlm(None)
    processor, model = AutoProcessor.from_pretrained(directory), load(directory)
    inputs = unpacked(directory, processor, write_h5)
    losses = []
    for order in ([5], [1, 4], [2, 2, 1]):
        rows = joined(inputs, order, padding=0, hidden=processor.image_token_id)
        losses.append(model(**{**inputs, **rows}).loss)
    torch.testing.assert_close(torch.stack(losses), losses[0].expand(3), atol=1e-5, rtol=1e-5)
    rows = joined(inputs, [5], padding=0, hidden=processor.image_token_id)
    rows["position_ids"] = torch.arange(rows["input_ids"].shape[1])[None]
    assert abs(model(**{**inputs, **rows}).loss - losses[0]) > 1e-3
