"""Token selectors in the model, on slides and on images: a batch changes nothing, nor does generation (W27 to W30)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor

from pathplugins.models.selectors import SELECTORS

PARTS: dict[str, dict[str, Any]] = {
    "slides": {},
    "merged": {"image_seq_length": 9},
    "per tile": {"image_seq_length": 30, "mm_projector_type": "mlp2x_gelu", "projector_config": {}},
}
TURN = "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
OPTIONS = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 1, "eos_token_id": None}


@pytest.fixture(scope="session")
def kept(load: Callable[..., Any]) -> Callable[[Path], Any]:
    return functools.cache(load)


@pytest.fixture
def make(
    make_llm: Callable[..., Path], make_vlm: Callable[..., Path], pallava: dict[str, Any]
) -> Callable[[str, str], Path]:
    """A directory of one of PARTS with a selector."""

    def make(part: str, mode: str, **options: Any) -> Path:
        parts = {} if part == "slides" else pallava
        chosen = {**parts, **PARTS[part], "vision_feature_select_mode": mode, **options}
        return make_vlm(make_llm(tied=False), **chosen)

    return make


@pytest.fixture
def samples(
    picture: Callable[..., Image.Image], write_h5: Callable[..., Path]
) -> Callable[[str], list[tuple[str, list[Any]]]]:
    """One image, none, two of different sizes."""

    def samples(part: str) -> list[tuple[str, list[Any]]]:
        if part == "slides":
            first, second, third = (write_h5(f"s{rows}", rows) for rows in (17, 4, 20))
        else:
            first, second, third = picture(61, 39), picture(37, 44), picture(130, 21)
        return [
            (TURN.format("<image>\nWhat is this?"), [first]),
            (TURN.format("Hello there, a longer question of words alone?"), []),
            (TURN.format("<image>Compare it with<image>"), [second, third]),
        ]

    return samples


def inputs_of(directory: Path, samples: list[Any], **options: Any) -> dict[str, Tensor]:
    texts, images = zip(*samples, strict=True)
    return dict(AutoProcessor.from_pretrained(directory)(list(texts), [list(owned) for owned in images], **options))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("mode", list(SELECTORS))
def test_alone_in_a_batch_padded_cached_and_not(
    make: Callable[..., Path], kept: Callable[[Path], Any], samples: Callable[[str], list[Any]], part: str, mode: str
) -> None:
    directory = make(part, mode)
    model, batch = kept(directory), samples(part)
    inputs = inputs_of(directory, batch)
    placeholders = int((inputs["input_ids"] == model.config.image_token_id).sum())
    chosen = model.select_image_tokens(**inputs)
    assert (
        sum(chosen.counts) == placeholders if not model.token_selector.adaptive else sum(chosen.counts) <= placeholders
    )
    left, right = (model(**inputs_of(directory, batch, padding_side=side)).logits for side in ("left", "right"))
    length = inputs["input_ids"].shape[1]
    options = {**OPTIONS, "suppress_tokens": [model.config.image_token_id]}
    cached = model.generate(**inputs, **options)[:, length:]
    assert torch.equal(model.generate(**inputs, **options, use_cache=False)[:, length:], cached)
    beams = model.generate(**inputs, **options, num_beams=2)[:, length:]
    for row, sample in enumerate(batch):
        alone = inputs_of(directory, [sample])
        wanted = model(**alone).logits[0]
        text = alone["input_ids"][0] != model.config.image_token_id  # what stands at a placeholder nobody reads
        n = len(wanted)
        torch.testing.assert_close(left[row, -n:][text], wanted[text], atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(right[row, :n][text], wanted[text], atol=2e-5, rtol=1e-4)
        assert torch.equal(model.generate(**alone, **options)[0, n:], cached[row])
        assert torch.equal(model.generate(**alone, **options, num_beams=2)[0, n:], beams[row])


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("mode", list(SELECTORS))
def test_the_answer_is_generated_from_what_training_saw(
    make: Callable[..., Path], kept: Callable[[Path], Any], samples: Callable[[str], list[Any]], part: str, mode: str
) -> None:
    """Of a prompt with its answer, as in training, the logits that choose each token are those of generation."""
    directory = make(part, mode)
    model, sample = kept(directory), samples(part)[2]
    inputs = inputs_of(directory, [sample])
    options = {**OPTIONS, "suppress_tokens": [model.config.image_token_id]}
    output = model.generate(**inputs, **options, output_logits=True, return_dict_in_generate=True)
    whole = {**inputs, "input_ids": output.sequences, "attention_mask": torch.ones_like(output.sequences)}
    start = inputs["input_ids"].shape[1]
    logits = model(**whole).logits[0, start - 1 : -1]
    torch.testing.assert_close(logits, torch.cat(output.logits), atol=2e-5, rtol=1e-4)
    if not (model.token_selector.needs_prompt or model.token_selector.needs_attention):
        return
    before, after = (model.select_image_tokens(**given).indices for given in (inputs, whole))
    assert torch.equal(before, after)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("mode", list(SELECTORS))
def test_gradients_reach_what_must_learn(
    make: Callable[..., Path],
    load: Callable[..., Any],
    grads: Callable[..., Any],
    samples: Callable[[str], list[Any]],
    part: str,
    mode: str,
) -> None:
    """Projection, connector, tower; a frozen tower builds no graph; no hook stays behind."""
    model = load(make(part, mode)).train()
    inputs = inputs_of(make(part, mode), samples(part), padding_side="right")
    hidden = (inputs["attention_mask"] == 0) | (inputs["input_ids"] == model.config.image_token_id)
    labels = inputs["input_ids"].masked_fill(hidden, -100)
    model(**inputs, labels=labels).loss.backward()
    got = grads(model)
    named = {name for name, p in model.named_parameters()}
    for prefix in ("token_selector.", "multi_modal_projector.", "vision_tower."):
        names = [name for name in named if name.startswith(prefix)]
        assert not names or any(got[name].abs().max() > 0 for name in names), prefix
    assert {name for name in named if name.startswith("token_selector.")} == (
        {f"token_selector.text_query_projection.{kind}" for kind in ("weight", "bias")}
        if mode == "prompt_topk"
        else set()
    )
    assert all(not module._forward_pre_hooks and not module._forward_hooks for module in model.vision_tower.modules())
    model.vision_tower.requires_grad_(False)
    if part != "merged" and mode != "prompt_topk":
        assert not model.select_image_tokens(**inputs).tokens.requires_grad


@pytest.mark.parametrize("mode", list(SELECTORS))
@pytest.mark.parametrize("part", PARTS)
def test_a_batch_of_text_teaches_a_selector_nothing(
    make: Callable[..., Path], load: Callable[..., Any], grads: Callable[..., Any], part: str, mode: str
) -> None:
    """The blank image of a batch without images runs every module, so that no rank waits, and changes no loss."""
    directory = make(part, mode)
    model, processor = load(directory).train(), AutoProcessor.from_pretrained(directory)
    text = inputs_of(directory, [(TURN.format("Hello there, words alone?"), [])])
    text["labels"] = text["input_ids"].clone()
    text["labels"][:, 0] = -100
    wanted = model(**text).loss
    n = processor.image_processor.null_tokens
    fill = {"input_ids": processor.image_token_id, "attention_mask": 0, "labels": -100}
    null = {name: torch.cat([value, torch.full((1, n), fill[name])], 1) for name, value in text.items()}
    loss = model(**null, **processor.image_processor.null_inputs()).loss
    torch.testing.assert_close(loss, wanted)
    loss.backward()
    got = grads(model)
    own = [name for name, _ in model.named_parameters() if not name.startswith(("model.", "lm_head."))]
    if not model.token_selector.needs_attention:  # whose keys act on the choice alone when one row is all there is
        assert set(own) <= got.keys()
    assert all(got[name].abs().max() == 0 for name in own if name in got)


@pytest.mark.parametrize("part", PARTS)
def test_w28_an_adaptive_choice_is_as_short_in_training_as_it_is(
    make: Callable[..., Path], kept: Callable[[Path], Any], samples: Callable[[str], list[Any]], part: str
) -> None:
    """Training leaves the surplus placeholders out, evaluation hides them: the same loss, fewer positions."""
    directory = make(part, "prumerge_adaptive", image_seq_length=1536, selector_config={"supplement": False})
    first, _, second = samples(part)
    model, inputs = kept(directory), inputs_of(directory, [first, second], padding_side="right")
    hidden = (inputs["attention_mask"] == 0) | (inputs["input_ids"] == model.config.image_token_id)
    labels = inputs["input_ids"].masked_fill(hidden, -100)
    shown = model(**inputs, labels=labels)
    try:
        packed = model.train()(**inputs, labels=labels)
    finally:
        model.eval()
    torch.testing.assert_close(packed.loss, shown.loss, atol=1e-5, rtol=1e-5)
    surplus = inputs["input_ids"].numel() - packed.logits.shape[0] * packed.logits.shape[1]
    assert surplus > 0
    with pytest.raises(ValueError, match=r"prumerge_adaptive needs an attention mask .*position_ids that begin anew"):
        model(**{**inputs, "attention_mask": inputs["attention_mask"][:, None, None]})


def test_w29_another_question_chooses_other_patches(
    make: Callable[..., Path], kept: Callable[[Path], Any], write_h5: Callable[..., Path]
) -> None:
    directory, bag = make("slides", "prompt_topk"), write_h5("asked", 20)

    def chosen(question: str, system: str = "") -> list[int]:
        inputs = inputs_of(directory, [(system + TURN.format(f"<image>\n{question}"), [bag])])
        return kept(directory).select_image_tokens(**inputs).indices.tolist()

    system = "<|start_header_id|>system<|end_header_id|>\n\nAnother system prompt.<|eot_id|>"
    assert chosen("Is there necrosis?") == chosen("Is there necrosis?", system)
    assert len({tuple(chosen(question)) for question in ("Is there necrosis?", "Which organ?", "Grade")}) == 3
    model = kept(directory)
    inputs = inputs_of(directory, [(TURN.format("<image>Who?"), [bag])])
    vision = {name: value for name, value in inputs.items() if name.startswith("patch_")}
    with pytest.raises(ValueError, match="looks at the question: pass input_ids"):
        model.get_image_features(**vision)


def test_w27_images_draw_by_their_seed(
    make: Callable[..., Path], kept: Callable[[Path], Any], picture: Callable[..., Image.Image], tmp_path: Path
) -> None:
    """Fixed in evaluation, new in each epoch of training."""
    directory = make("per tile", "random_sample")
    reader, path = AutoProcessor.from_pretrained(directory).image_processor, tmp_path / "a.png"
    picture(61, 39).save(path)

    def drawn(**options: Any) -> list[int]:
        return kept(directory).select_image_tokens(**reader([path], **options)).indices.tolist()

    assert drawn() == drawn()
    assert drawn(keys=["a"], epoch=0) == drawn(keys=["a"], epoch=0)
    assert len({tuple(drawn()), tuple(drawn(keys=["a"], epoch=0)), tuple(drawn(keys=["a"], epoch=1))}) == 3
