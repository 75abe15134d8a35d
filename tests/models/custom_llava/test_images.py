"""The model on images: tiles in, and a batch changes nothing (features A11, A14, A15, A27, A29)."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import AutoProcessor

from pathplugins.models.compose.projector import load_projector
from pathplugins.models.connectors.scale_invariant import ScaleInvariantConnector

peft = pytest.importorskip("peft")

N = 25
TILES = {(37, 44): 7, (130, 21): 8, (61, 39): 9}
"""Size of a picture -> its tiles, thumbnail included."""
PARTS: dict[str, dict[str, Any]] = {
    "merged, anyres": {},
    "merged, pad": {"image_aspect_ratio": "pad"},
    "per tile, anyres": {"mm_projector_type": "mlp2x_gelu", "projector_config": {}},
    "per tile, pad": {"mm_projector_type": "mlp2x_gelu", "projector_config": {}, "image_aspect_ratio": "pad"},
}
OPTIONS = {"do_sample": False, "pad_token_id": 1, "eos_token_id": None}


@pytest.fixture(params=PARTS.values(), ids=PARTS)
def directory(
    request: pytest.FixtureRequest,
    make_llm: Callable[..., Path],
    make_vlm: Callable[..., Path],
    pallava: dict[str, Any],
) -> Path:
    return make_vlm(make_llm(tied=False), **{**pallava, **request.param})


@pytest.fixture
def merged(make_llm: Callable[..., Path], make_vlm: Callable[..., Path], pallava: dict[str, Any]) -> Path:
    return make_vlm(make_llm(tied=False), **pallava)


@pytest.fixture(scope="session")
def lent(load: Callable[..., Any]) -> Callable[[Path], Any]:
    """The model of a directory, for tests that leave it as it is."""
    return functools.cache(load)


@pytest.fixture
def samples(picture: Callable[..., Image.Image]) -> list[tuple[str, list[Image.Image]]]:
    """One image, none, two, one again: as many tiles as there are, in one batch."""
    return [
        ("What is <image>?", [picture(61, 39)]),
        ("Hello there, is this a longer question of words alone?", []),
        ("<image> Compare it with <image>", [picture(37, 44), picture(130, 21)]),
        ("<image>", [picture(37, 44, 1)]),
    ]


def inputs_of(directory: Path, samples: list[Any], **options: Any) -> dict[str, Tensor]:
    texts, images = zip(*samples, strict=True)
    return dict(AutoProcessor.from_pretrained(directory)(list(texts), [list(owned) for owned in images], **options))


def with_labels(inputs: dict[str, Tensor], image_token: int) -> dict[str, Tensor]:
    hidden = (inputs["attention_mask"] == 0) | (inputs["input_ids"] == image_token)
    return {**inputs, "labels": inputs["input_ids"].masked_fill(hidden, -100)}


def test_tokens_are_counted_before_anything_is_read(
    directory: Path, lent: Callable[[Path], Any], picture: Callable[..., Image.Image], tmp_path: Path
) -> None:
    """N per image where tiles are merged or there is one, else N per tile; the model finds as many (A14, A29)."""
    processor, model = AutoProcessor.from_pretrained(directory), lent(directory)
    pad = processor.image_processor.image_aspect_ratio == "pad"
    tiles = [1 if pad else count for count in TILES.values()]
    tokens = [N if processor.image_processor.merged_tiles else N * count for count in tiles]
    paths = [tmp_path / f"{w}x{h}.png" for w, h in TILES]
    for path, size in zip(paths, TILES, strict=True):
        picture(*size).save(path)
    assert [processor.num_image_tokens(path) for path in paths] == tokens
    inputs = processor("<image><image> and <image>", paths)
    assert inputs["tile_counts"].tolist() == tiles
    assert inputs["pixel_values"].shape == (sum(tiles), 3, 20, 20)
    assert int((inputs["input_ids"] == processor.image_token_id).sum()) == sum(tokens)
    features, counts = model.get_image_features(pixel_values=inputs["pixel_values"], tile_counts=inputs["tile_counts"])
    assert counts == tokens
    assert features.shape == (sum(tokens), 64)
    assert model(**inputs).logits.isfinite().all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_sample_alone_and_in_a_batch_give_the_same_logits(
    directory: Path, lent: Callable[[Path], Any], samples: list[Any], side: str
) -> None:
    """Neither padding of text nor tiles of other images are ever seen (A15, A27, A29)."""
    model = lent(directory)
    inputs = inputs_of(directory, samples, padding_side=side)
    together = model(**inputs).logits
    lengths = inputs["attention_mask"].sum(1).tolist()
    assert len(set(lengths)) == 4
    for row, sample in enumerate(samples):
        alone = model(**inputs_of(directory, [sample])).logits[0]
        n = lengths[row]
        got = together[row, -n:] if side == "left" else together[row, :n]
        torch.testing.assert_close(got, alone, atol=2e-5, rtol=1e-4)


def test_greedy_answers_are_those_of_no_cache_and_of_each_alone(
    directory: Path, lent: Callable[[Path], Any], samples: list[Any]
) -> None:
    model, inputs = lent(directory), inputs_of(directory, samples)
    token = model.config.image_token_id
    options = {**OPTIONS, "max_new_tokens": 6, "suppress_tokens": [token]}  # an untrained model says anything
    length = inputs["input_ids"].shape[1]
    cached = model.generate(**inputs, **options)[:, length:]
    assert torch.equal(model.generate(**inputs, **options, use_cache=False)[:, length:], cached)
    whole = inputs_of(directory, [samples[2]])
    for step in range(6):  # the text anew for every token
        logits = model(**whole).logits[0, -1]
        logits[token] = -torch.inf
        assert logits.argmax() == cached[2, step], step
        whole["input_ids"] = torch.cat([whole["input_ids"], cached[2:3, step : step + 1]], 1)
        whole["attention_mask"] = torch.ones_like(whole["input_ids"])
    for row, sample in enumerate(samples):
        alone = inputs_of(directory, [sample])
        answer = model.generate(**alone, **options)[0, alone["input_ids"].shape[1] :]
        assert torch.equal(answer, cached[row]), row
    white = [(text, [Image.new("RGB", image.size, "white") for image in images]) for text, images in samples]
    seen, blank = (model(**inputs_of(directory, each)).logits[:, -1] for each in (samples, white))
    assert ((seen - blank).abs().amax(1) > 1e-3).tolist() == [True, False, True, True]


def test_beams_and_several_answers_repeat_whole_images(
    directory: Path, lent: Callable[[Path], Any], samples: list[Any]
) -> None:
    model, options = lent(directory), {**OPTIONS, "max_new_tokens": 4, "num_beams": 3, "num_return_sequences": 2}
    inputs = inputs_of(directory, samples)
    together = model.generate(**inputs, **options)[:, inputs["input_ids"].shape[1] :]
    assert together.shape == (8, 4)
    for row, sample in enumerate(samples):
        alone = inputs_of(directory, [sample])
        answers = model.generate(**alone, **options)[:, alone["input_ids"].shape[1] :]
        assert torch.equal(answers, together[2 * row : 2 * row + 2]), row


def test_a_saved_model_comes_back_bit_for_bit(
    directory: Path, load: Callable[..., Any], lent: Callable[[Path], Any], samples: list[Any], tmp_path: Path
) -> None:
    model, processor = lent(directory), AutoProcessor.from_pretrained(directory)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, read = load(tmp_path), AutoProcessor.from_pretrained(tmp_path)
    assert again.config.projector_config == model.config.projector_config
    assert read.image_processor.to_dict() == processor.image_processor.to_dict()
    state = again.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [part._causal.config._attn_implementation for part in (model, again)] == ["sdpa", "sdpa"]
    assert torch.equal(again(**inputs_of(tmp_path, samples)).logits, model(**inputs_of(directory, samples)).logits)


def test_a_batch_of_text_runs_tower_and_connector_and_teaches_them_nothing(
    directory: Path, lent: Callable[[Path], Any], grads: Callable[..., Any], samples: list[Any]
) -> None:
    """A27: ranks with images and ranks without must run the same modules."""
    model, processor = copy.deepcopy(lent(directory)).train(), AutoProcessor.from_pretrained(directory)
    text = with_labels(inputs_of(directory, [samples[1]]), processor.image_token_id)
    text["labels"][:, 0] = -100  # as of any first token: what stands before it is not its context
    wanted = model(**text).loss
    n = processor.image_processor.null_tokens
    fill = {"input_ids": processor.image_token_id, "attention_mask": 0, "labels": -100}
    null = {name: torch.cat([torch.full((1, n), fill[name]), value], 1) for name, value in text.items()}
    loss = model(**null, **processor.image_processor.null_inputs()).loss
    torch.testing.assert_close(loss, wanted)
    loss.backward()
    got = grads(model)
    vision = [name for name, _ in model.named_parameters() if name.startswith(("vision_", "multi_modal_"))]
    assert set(vision) <= got.keys()
    assert all(got[name].abs().max() == 0 for name in vision)
    assert got["model.layers.0.mlp.up_proj.weight"].abs().max() > 0


@pytest.mark.parametrize("trained", ["", "multi_modal_projector"], ids=["everything", "connector alone"])
def test_checkpointing_changes_no_gradient_and_every_weight_has_one(
    directory: Path, lent: Callable[[Path], Any], grads: Callable[..., Any], samples: list[Any], trained: str
) -> None:
    """With one tile per image there are no tiles to look at, and DDP waits for those weights all the same."""
    model = copy.deepcopy(lent(directory)).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(trained))
    inputs = with_labels(inputs_of(directory, samples), model.config.image_token_id)
    model(**inputs).loss.backward()
    wanted = grads(model)
    assert wanted.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    one_tile = int(inputs["tile_counts"].max()) == 1
    unused = r"cross_attention\.(query|value|key)\.|cross_attention\.dense\.weight"
    asleep = {name for name in wanted if one_tile and re.search(unused, name)}
    zero = {name for name, value in wanted.items() if value.abs().max() == 0}
    # A bias of the keys moves all scores alike: its gradient is 0 but for rounding.
    assert {name for name in zero ^ asleep if "key.bias" not in name and "k_proj.bias" not in name} == set()
    model.zero_grad()
    calls: list[int] = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return checkpoint(*args, use_reentrant=False, **kwargs)

    model._set_gradient_checkpointing(True, counted)
    model(**inputs).loss.backward()
    assert len(calls) == (4 if trained == "" else 2)  # layers of the language model, and of the tower where trained
    for name, value in grads(model).items():
        torch.testing.assert_close(value, wanted[name], atol=1e-6, rtol=1e-4)


def test_lora_with_the_connector_trained_in_full(
    merged: Path, lent: Callable[[Path], Any], samples: list[Any], tmp_path: Path
) -> None:
    """A21: adapter and connector are saved, read, merged; the connector can be taken out of the adapter."""
    torch.manual_seed(3)
    config = peft.LoraConfig(
        r=2,
        target_modules=r"model\.layers\.\d\.self_attn\.[qv]_proj",
        modules_to_save=["multi_modal_projector"],
        init_lora_weights=False,
    )
    model = peft.get_peft_model(copy.deepcopy(lent(merged)), config)
    inputs = with_labels(inputs_of(merged, samples), model.config.image_token_id)
    model(**inputs).loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.05 * parameter.grad
    trained = model.eval()(**inputs).logits
    model.save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(copy.deepcopy(lent(merged)), tmp_path).eval()
    torch.testing.assert_close(again(**inputs).logits, trained)
    prompt = {name: value for name, value in inputs.items() if name != "labels"}
    answer = again.generate(**prompt, **OPTIONS, max_new_tokens=4)
    whole = again.merge_and_unload()
    torch.testing.assert_close(whole(**inputs).logits, trained, atol=1e-4, rtol=1e-4)
    assert torch.equal(whole.generate(**prompt, **OPTIONS, max_new_tokens=4), answer)
    settings = {name: value for name, value in whole.config.projector_config.items() if name != "type"}
    part = ScaleInvariantConnector(24, 64, **settings)
    load_projector(part, tmp_path)
    wanted = whole.multi_modal_projector.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in part.state_dict().items())
    assert not torch.equal(part.norm.weight, lent(merged).multi_modal_projector.norm.weight)


def test_bfloat16_forward_and_backward_also_with_norms_in_float32(
    directory: Path,
    load: Callable[..., Any],
    lent: Callable[[Path], Any],
    grads: Callable[..., Any],
    samples: list[Any],
) -> None:
    model = load(directory, torch_dtype=torch.bfloat16)
    inputs = with_labels(inputs_of(directory, samples), model.config.image_token_id)
    with torch.no_grad():
        exact = lent(directory)(**inputs).loss.item()
    for part in (torch.nn.Identity, torch.nn.LayerNorm):
        for module in model.modules():
            if isinstance(module, part):
                module.float()
        model.zero_grad()
        loss = model(**inputs).loss
        assert loss.item() == pytest.approx(exact, rel=0.05)
        loss.backward()
        assert all(value.isfinite().all() for value in grads(model).values())


def test_a_bag_for_a_model_of_images_and_the_other_way_round(
    merged: Path, lent: Callable[[Path], Any], shared: Any, samples: list[Any], pack: Callable[..., Any]
) -> None:
    inputs = inputs_of(merged, samples)
    vision = {name: inputs[name] for name in ("pixel_values", "tile_counts")}
    with pytest.raises(ValueError, match=r"was given an image, its vision tower takes patch_features; use the model's"):
        shared.get_image_features(**vision)
    bags = {name: value for name, value in pack(("", (3,), "")).items() if name.startswith("patch_")}
    with pytest.raises(ValueError, match="was given a bag, its vision tower takes pixel_values"):
        lent(merged).get_image_features(**bags)


def test_placeholders_that_do_not_meet_the_images_are_said(
    directory: Path, lent: Callable[[Path], Any], samples: list[Any]
) -> None:
    model, inputs = lent(directory), inputs_of(directory, samples[:1])
    n = int((inputs["input_ids"] == model.config.image_token_id).sum())
    cut = {name: inputs[name][:, 7:] for name in ("input_ids", "attention_mask")}
    with pytest.raises(ValueError, match=rf"sample 0 .*but {n} vision tokens \(per image \[{n}\]\)"):
        model(**{**inputs, **cut})
    with pytest.raises(ValueError, match=r"sample 0 of the batch"):
        model.generate(**{**inputs, **cut}, num_beams=2, max_new_tokens=2, pad_token_id=1)
    with pytest.raises(ValueError, match="the text holds image placeholders but no image"):
        model(input_ids=inputs["input_ids"])
