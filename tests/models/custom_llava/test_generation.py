"""Every kind of generation gives the images once and gives the answer of the plain kind."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor, GenerationConfig

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.vision_inputs import VISION_INPUTS

LENGTH = 6
PARTS: dict[str, dict[str, Any]] = {
    "slides": {"vision_feature_select_mode": "random_sample", "patches_per_wsi": 10},
    "slides, by the question": {"vision_feature_select_mode": "prompt_topk", "patches_per_wsi": 10},
    "slides, as many as needed": {"vision_feature_select_mode": "prumerge_adaptive", "patches_per_wsi": 10},
    "images": {"image_aspect_ratio": "pad"},
}
OPTIONS = {"max_new_tokens": LENGTH, "do_sample": False, "pad_token_id": 1}
TURN = (
    "<|start_header_id|>user<|end_header_id|>\n\n<image>{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
)


@pytest.fixture(scope="module", params=PARTS)
def part(
    request: pytest.FixtureRequest,
    make_llm: Callable[..., Path],
    make_vlm: Callable[..., Path],
    load: Callable[..., Any],
    write_h5: Callable[..., Path],
    picture: Callable[..., Image.Image],
    pallava: dict[str, Any],
) -> tuple[Any, Callable[..., dict[str, Tensor]]]:
    """A model, and its inputs of texts with the pictures numbered."""
    images = request.param == "images"
    options = {**pallava, **PARTS[request.param]} if images else PARTS[request.param]
    directory = make_vlm(make_llm(tied=False), **options)
    processor = AutoProcessor.from_pretrained(directory)
    shown = [picture(37, 44), picture(61, 39)] if images else [write_h5("a", 9), write_h5("b", 4)]

    def inputs(*samples: tuple[str, list[int]]) -> dict[str, Tensor]:
        texts, owned = zip(*samples, strict=True)
        return dict(processor(list(texts), [[shown[place] for place in mine] for mine in owned]))

    model = load(directory)
    never = model.config.image_token_id
    model.generation_config.suppress_tokens, model.generation_config.eos_token_id = [never], never
    return model, inputs


@pytest.fixture
def encoded(part: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each run of the vision tower read."""
    model, _ = part
    runs: list[int] = []
    plain = model.select_image_tokens

    @functools.wraps(plain)
    def counted(*args: Any, **vision: Any) -> Any:
        chosen = plain(*args, **vision)
        runs.append(len(chosen.counts))
        return chosen

    monkeypatch.setattr(model, "select_image_tokens", counted)
    return runs


def answers(model: Any, inputs: dict[str, Tensor], **options: Any) -> Tensor:
    return model.generate(**inputs, **{**OPTIONS, **options})[:, inputs["input_ids"].shape[1] :]


TWO = ((TURN.format("what is it"), [0]), (TURN.format("and here") + TURN.format("now"), [1, 0]))


def test_every_image_is_encoded_once(part: Any, encoded: list[int]) -> None:
    model, inputs = part
    greedy = answers(model, inputs(*TWO))
    assert encoded == [3]
    encoded.clear()
    beams = answers(model, inputs(*TWO), num_beams=2)
    assert encoded == [6]
    encoded.clear()
    torch.manual_seed(3)
    drawn = answers(model, inputs(*TWO), do_sample=True, temperature=2.0, num_return_sequences=2)
    assert encoded == [6]
    encoded.clear()
    fixed = answers(model, inputs(*TWO), cache_implementation="static")
    assert encoded == [3]
    assert torch.equal(fixed, greedy)
    encoded.clear()
    # Without a cache the whole text is read anew for every token.
    assert torch.equal(answers(model, inputs(*TWO), use_cache=False), greedy)
    assert encoded == [3] * LENGTH
    assert torch.equal(answers(model, inputs(*TWO), num_beams=2, use_cache=False), beams)
    torch.manual_seed(3)
    again = answers(model, inputs(*TWO), do_sample=True, temperature=2.0, num_return_sequences=2, use_cache=False)
    assert torch.equal(again, drawn)


def test_what_an_assistant_guesses_changes_no_answer(part: Any, encoded: list[int]) -> None:
    model, inputs = part
    for sample in TWO:
        asked = inputs(sample)
        greedy = answers(model, asked)
        encoded.clear()
        assert torch.equal(answers(model, asked, prompt_lookup_num_tokens=4), greedy)
        assert encoded == [len(sample[1])]
        other = copy.deepcopy(model)
        with torch.no_grad():
            other.lm_head.weight.copy_(other.lm_head.weight.flip(0))
        if model.token_selector.adaptive:
            with pytest.raises(PathPluginsError, match="or the assistant"):
                answers(model, asked, assistant_model=other)
            continue
        for assistant in (copy.deepcopy(model), other):
            encoded.clear()
            assert torch.equal(answers(model, asked, assistant_model=assistant), greedy)
            assert encoded == [len(sample[1])] * 2  # by the assistant, and by the model


def test_a_looked_up_placeholder_stands_for_nothing(part: Any) -> None:
    """The last word of the prompt stands before an image too: what follows it there is guessed, placeholders."""
    model, inputs = part
    asked = inputs((TURN.format("what is it"), [0]))
    ids, image = asked["input_ids"], model.config.image_token_id
    word = ids[0, (ids[0] == image).nonzero()[0, 0] - 1]
    asked["input_ids"] = torch.cat([ids, word.view(1, 1)], 1)
    asked["attention_mask"] = torch.ones_like(asked["input_ids"])
    model = copy.deepcopy(model)
    model.generation_config.suppress_tokens = None  # the look-up would leave it out
    greedy = answers(model, asked)
    assert torch.equal(answers(model, asked, prompt_lookup_num_tokens=3, max_matching_ngram_size=1), greedy)


def test_a_conversation_goes_on_from_its_cache(part: Any, encoded: list[int]) -> None:
    """The second turn reads its own image alone, and none where it brings none."""
    model, inputs = part
    first = inputs((TURN.format("what is it"), [0]))
    for images in ([1], []):
        said = model.generate(**first, **OPTIONS, return_dict_in_generate=True)
        asked = inputs((TURN.format("and here") if images else TURN.format("why").replace("<image>", ""), images))
        together = {name: torch.cat([first[name], asked[name]]) for name in first if name in VISION_INPUTS and images}
        whole = {**first, **together, "input_ids": torch.cat([said.sequences, asked["input_ids"]], 1)}
        whole["attention_mask"] = torch.ones_like(whole["input_ids"])
        if model.token_selector.adaptive:
            with pytest.raises(PathPluginsError, match="leave out the cache"):
                answers(model, whole, **held(said))
            continue
        wanted = answers(model, whole)
        encoded.clear()
        assert torch.equal(answers(model, whole, **held(said)), wanted)
        assert encoded == ([1] if images else [])


def held(output: Any) -> dict[str, Any]:
    """The cache of an answer, by the name this Transformers has for it."""
    name = "cache" if "cache" in output else "past_key_values"
    return {name: output[name]}


def test_a_prompt_in_pieces_is_refused(part: Any) -> None:
    if not hasattr(GenerationConfig(), "prefill_chunk_size"):
        pytest.skip("this Transformers reads every prompt whole")
    model, inputs = part
    with pytest.raises(ValueError, match="prefill_chunk_size"):
        answers(model, inputs(TWO[1]), prefill_chunk_size=4)


def test_a_prefix_mask_refuses_what_would_see_the_answer(
    make_vlm: Callable[..., Path], load: Callable[..., Any], pack: Callable[..., Any]
) -> None:
    model = load(make_vlm(None, use_prefix_lm_mask=True))
    inputs = pack(("Which tissue?", (9,), ""))
    with pytest.raises(PathPluginsError, match="prompt_lookup_num_tokens"):
        answers(model, inputs, prompt_lookup_num_tokens=3)
    with pytest.raises(PathPluginsError, match="cache_implementation"):
        answers(model, inputs, cache_implementation="static")
