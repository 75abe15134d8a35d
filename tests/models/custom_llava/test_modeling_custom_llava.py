"""The model: what goes in, what comes out, and that a batch changes nothing.

Features W19, W24, W27, W30, W31, W34, W37, W38, W39.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from pathplugins.models.compose import language_model

ONE = ("What is it?", (9,), "")
SMALL = ("The tissue", (4,), "")
TWO = ("Compare these slides", (3, 25), "")
NONE = ("Hello there", (), "")


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma2"])
@pytest.mark.parametrize("tied", [True, False])
def test_text_goes_through_the_language_models_own_forward(
    make_llm: Callable[..., Path], make_vlm: Callable[..., Path], load: Callable[..., Any], family: str, tied: bool
) -> None:
    """Soft-capped logits, scaled embeddings and the head of an untied model (W38) are the LLM's own."""
    capped = {"final_logit_softcapping": 3.0, "query_pre_attn_scalar": 16} if family == "gemma2" else {}
    llm = make_llm(model_type=family, tied=tied, **capped)
    model = load(make_vlm(llm))
    own = AutoModelForCausalLM.from_pretrained(llm, torch_dtype=torch.float32).eval()
    ids = torch.tensor([[3, 40, 41, 300, 77, 12]])
    got, wanted = model(input_ids=ids, labels=ids), own(input_ids=ids, labels=ids)
    torch.testing.assert_close(got.logits, wanted.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got.loss, wanted.loss)
    if capped:
        assert wanted.logits.abs().max() <= 3.0
    assert (model.lm_head.weight is model.get_input_embeddings().weight) is tied


@pytest.mark.parametrize("budget", [0, 6])
@pytest.mark.parametrize("mode", ["random_sample", "none"])
def test_token_counts_are_exact(
    make_vlm: Callable[..., Path], load: Callable[..., Any], pack: Callable[..., Any], budget: int, mode: str
) -> None:
    """One more than the bag or the budget, whichever is smaller; all of the bag without a selector (W27, W30, W31)."""
    model = load(make_vlm(None, image_seq_length=budget, vision_feature_select_mode=mode))
    sizes = (1, 5, 6, 7, 19)
    inputs = pack(("", sizes, ""))
    vision = {name: value for name, value in inputs.items() if name.startswith("patch_")}
    features, counts = model.get_image_features(**vision)
    assert counts == [1 + (min(n, budget) if mode == "random_sample" else n) for n in sizes]
    assert features.shape == (sum(counts), 64)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("prefix", [False, True])
def test_a_bag_alone_and_in_a_batch_give_the_same_logits(
    make_vlm: Callable[..., Path], load: Callable[..., Any], pack: Callable[..., Any], side: str, prefix: bool
) -> None:
    """No padding, of text or of bags, is ever seen (W8, W34)."""
    model = load(make_vlm(None, use_prefix_lm_mask=prefix))
    samples = [ONE, SMALL, TWO, NONE]
    together = model(**pack(*samples, side=side, extra=3)).logits
    for row, sample in enumerate(samples):
        inputs = pack(sample)
        alone = model(**inputs).logits[0]
        n = alone.shape[0]
        got = together[row, -n:] if side == "left" else together[row, :n]
        torch.testing.assert_close(got, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_generation_with_and_without_cache_in_a_batch_and_alone(
    make_llm: Callable[..., Path],
    make_vlm: Callable[..., Path],
    load: Callable[..., Any],
    pack: Callable[..., Any],
    tied: bool,
) -> None:
    model = load(make_vlm(make_llm(tied=tied)))
    options = {"max_new_tokens": 7, "do_sample": False, "pad_token_id": 1, "eos_token_id": None}
    samples = [ONE, SMALL, TWO, NONE]
    inputs = pack(*samples)
    length = inputs["input_ids"].shape[1]
    cached = model.generate(**inputs, **options)[:, length:]
    assert torch.equal(model.generate(**inputs, **options, use_cache=False)[:, length:], cached)
    for row, sample in enumerate(samples):
        alone = pack(sample)
        answer = model.generate(**alone, **options)[0, alone["input_ids"].shape[1] :]
        assert torch.equal(answer, cached[row]), row
    assert len({tuple(row.tolist()) for row in cached}) == 4  # different questions, different answers


def test_beams_and_several_answers_repeat_whole_bags(shared: Any, pack: Callable[..., Any]) -> None:
    options = {"max_new_tokens": 5, "do_sample": False, "num_beams": 3, "num_return_sequences": 2, "pad_token_id": 1}
    samples = [TWO, NONE, SMALL]
    inputs = pack(*samples)
    together = shared.generate(**inputs, **options)[:, inputs["input_ids"].shape[1] :]
    assert together.shape == (6, 5)
    for row, sample in enumerate(samples):
        alone = pack(sample)
        answers = shared.generate(**alone, **options)[:, alone["input_ids"].shape[1] :]
        assert torch.equal(answers, together[2 * row : 2 * row + 2]), row


def test_generation_under_a_prefix_mask_is_the_training_forward(
    make_vlm: Callable[..., Path], load: Callable[..., Any], pack: Callable[..., Any]
) -> None:
    """The logits that choose the next token are those of a training forward over prompt and answer (W34)."""
    model = load(make_vlm(None, use_prefix_lm_mask=True))
    inputs = pack(ONE)
    n = inputs["input_ids"].shape[1]
    output = model.generate(
        **inputs, max_new_tokens=4, do_sample=False, output_scores=True, return_dict_in_generate=True, pad_token_id=1
    )
    whole = {**inputs, "input_ids": output.sequences, "attention_mask": torch.ones_like(output.sequences)}
    labels = output.sequences.clone()
    labels[:, :n] = -100
    logits = model(**whole, labels=labels).logits[0, n - 1 : -1]
    torch.testing.assert_close(torch.cat(output.scores), logits, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="needs use_cache"):
        model.generate(**inputs, max_new_tokens=2, use_cache=False)


def test_prefix_mask_refuses_what_would_ignore_it(
    make_vlm: Callable[..., Path], load: Callable[..., Any], pack: Callable[..., Any]
) -> None:
    model = load(make_vlm(None, use_prefix_lm_mask=True))
    inputs = pack(ONE)
    model._causal.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ValueError, match=r"flash_attention_2 takes no such mask.*sdpa"):
        model(**inputs)
    model._causal.config._attn_implementation = "sdpa"
    model._causal.config.sliding_window = 5
    with pytest.raises(ValueError, match="do not fit the LLM's window of 5"):
        model(**inputs)
    model._causal.config.sliding_window = None
    with pytest.raises(ValueError, match="needs the labels in forward"):
        model.train()(**inputs)


def test_seeds_decide_the_draw_and_the_order_of_samples_does_not(shared: Any, pack: Callable[..., Any]) -> None:
    """W7, W27: an evaluation repeats, whatever it stands beside; another seed is another draw."""
    big = ("Which one?", (17,), "")
    inputs = pack(big, TWO)
    first, again = (shared(**inputs).logits for _ in range(2))
    assert torch.equal(first, again)
    swapped = shared(**pack(TWO, big)).logits
    torch.testing.assert_close(swapped[[1, 0]], first, atol=1e-5, rtol=1e-5)
    other = shared(**{**inputs, "patch_seeds": inputs["patch_seeds"] + 1}).logits
    assert (other[0] - first[0])[-1].abs().max() > 1e-3


def test_ablation_takes_the_picture_away_and_nothing_else(shared: Any, pack: Callable[..., Any]) -> None:
    inputs = pack(ONE)
    other = {**inputs, "patch_features": inputs["patch_features"] + 1.0}
    seen = shared(**inputs).logits
    assert (shared(**other).logits - seen)[0, -1].abs().max() > 1e-3
    shared.ablate_vision = True
    try:
        assert torch.equal(shared(**inputs).logits, shared(**other).logits)
    finally:
        shared.ablate_vision = False
    assert torch.equal(shared(**inputs).logits, seen)


def test_what_does_not_fit_is_said(shared: Any, pack: Callable[..., Any]) -> None:
    inputs = pack(ONE, SMALL)
    vision = {name: value for name, value in inputs.items() if name.startswith("patch_")}
    cut = {"input_ids": inputs["input_ids"][:, 4:], "attention_mask": inputs["attention_mask"][:, 4:]}
    with pytest.raises(
        ValueError, match=r"sample 0 .*\(per sample \[5, 5\]\) but 12 vision tokens .*\[7, 5\].*cutoff_len"
    ):
        shared(**cut, **vision)
    with pytest.raises(ValueError, match="the text holds image placeholders but no image: pass what the"):
        shared(input_ids=inputs["input_ids"])
    with pytest.raises(ValueError, match="image 0 of the batch"):
        shared(input_ids=pack(NONE)["input_ids"], **vision)
    with pytest.raises(ValueError, match="sample 0"):
        shared.generate(**cut, **vision, num_beams=2, max_new_tokens=2)


def test_the_image_token_may_lie_outside_the_vocabulary(
    make_llm: Callable[..., Path],
    make_vlm: Callable[..., Path],
    load: Callable[..., Any],
    pack: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """W37: nothing is resized, and nothing is looked up beyond the last row of the embedding."""
    monkeypatch.setattr(language_model, "RESERVED", ())
    model = load(make_vlm(make_llm(), image_seq_length=5))
    token, size = model.config.image_token_id, model.get_input_embeddings().weight.shape[0]
    assert token == size
    sample = ("Where?", (4,), "There.")
    output = model(**pack(sample, token=token))
    assert output.loss.isfinite()
    prompt = pack(("Where?", (4,), ""), token=token)
    assert model.generate(**prompt, max_new_tokens=3, do_sample=False, pad_token_id=1).shape[0] == 1


def test_a_resize_reaches_the_loss(vlm: Path, load: Callable[..., Any], pack: Callable[..., Any]) -> None:
    model = load(vlm)
    inputs = pack(("What?", (4,), "A gland."))
    before = model(**inputs)
    model.resize_token_embeddings(model.config.text_config.vocab_size + 3)
    after = model(**inputs)
    assert after.logits.shape[-1] == before.logits.shape[-1] + 3
    torch.testing.assert_close(after.logits[..., :-3], before.logits, atol=1e-5, rtol=1e-5)


def test_a_replaced_head_is_the_one_that_speaks(vlm: Path, load: Callable[..., Any], pack: Callable[..., Any]) -> None:
    """PEFT and resizing put other modules in the place of these."""
    model = load(vlm)
    inputs = pack(ONE)
    wanted = model(**inputs).logits
    head, silent, body = model.lm_head, copy.deepcopy(model.lm_head), copy.deepcopy(model.model)
    torch.nn.init.zeros_(silent.weight)
    model.set_output_embeddings(silent)
    assert model(**inputs).logits.abs().max() == 0
    model.set_output_embeddings(head)
    torch.nn.init.zeros_(model.model.norm.weight)
    assert model(**inputs).logits.abs().max() == 0
    model.model = body
    torch.testing.assert_close(model(**inputs).logits, wanted)


def test_hidden_states_and_batch_wide_loss(shared: Any, pack: Callable[..., Any]) -> None:
    """W39: a step's loss may be taken over all its micro-batches, as Transformers does."""
    inputs = pack(("What?", (4,), "A gland."))
    output = shared(**inputs, output_hidden_states=True)
    assert len(output.hidden_states) == 3
    supervised = int((inputs["labels"] != -100).sum())
    halved = shared(**inputs, num_items_in_batch=torch.tensor(2 * supervised))
    torch.testing.assert_close(halved.loss * 2, output.loss)


def test_the_answer_alone_is_in_the_loss(shared: Any, pack: Callable[..., Any]) -> None:
    inputs = pack(("What?", (4,), "A gland."), side="left", extra=2)
    logits = shared(**inputs).logits[0, :-1]
    target = inputs["labels"][0, 1:]
    kept = target != -100
    wanted = torch.nn.functional.cross_entropy(logits[kept], target[kept])
    torch.testing.assert_close(shared(**inputs).loss, wanted)


def test_names_survive_every_transformers(shared: Any) -> None:
    """4.48 renames whatever holds these words when it loads a checkpoint."""
    names = [name for name, _ in shared.named_parameters()]
    assert len(names) > 60
    assert not [name for name in names if "gamma" in name or "beta" in name]
    assert not [name for name, _ in shared.named_parameters() if name.startswith("_causal")]
    assert {name.partition(".")[0] for name in names} == {
        "model",
        "lm_head",
        "vision_tower",
        "multi_modal_projector",
    } - ({"lm_head"} if shared.config.text_config.tie_word_embeddings else set())


def test_parts_that_must_stay_on_one_device_exist(shared: Any) -> None:
    kinds = {type(module).__name__ for module in shared.modules()}
    assert {"LlamaDecoderLayer", "LongNetViT", "GammaMLPConnector"} <= set(shared._no_split_modules) <= kinds


def test_every_part_owns_what_no_checkpoint_holds(shared: Any) -> None:
    """Else Transformers from 5.24 on never asks for the tables inside it when a model is loaded."""
    for part in (shared.vision_tower, shared.multi_modal_projector, shared.token_selector):
        lost = {name for name, _ in part.named_buffers(recurse=False)} - {*part.state_dict()}
        assert lost, type(part).__name__


def test_a_copy_owns_its_language_model(shared: Any, pack: Callable[..., Any]) -> None:
    twin = copy.deepcopy(shared)
    wanted = shared(**pack(ONE)).logits
    torch.nn.init.zeros_(twin.lm_head.weight)
    assert twin(**pack(ONE)).logits.abs().max() == 0
    assert torch.equal(shared(**pack(ONE)).logits, wanted)


def test_a_model_from_its_configuration_is_initialised(shared: Any) -> None:
    torch.manual_seed(0)
    fresh = type(shared)(copy.deepcopy(shared.config))
    assert all(p.isfinite().all() and p.abs().max() < 10 for p in fresh.parameters())
    assert float(fresh.multi_modal_projector.scale.detach()) == pytest.approx(1.4)
    assert float(fresh.vision_tower.cls_token.detach().std()) == pytest.approx(0.02, rel=0.5)
