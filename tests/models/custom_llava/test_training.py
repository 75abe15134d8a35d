"""Training: gradients reach what is trained and nothing else, with checkpointing, in bfloat16, under PEFT."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from pathplugins.core.errors import CheckpointError
from pathplugins.models.compose.projector import load_projector, read_projector
from pathplugins.models.connectors.mlp import GammaMLPConnector

peft = pytest.importorskip("peft")

ASKED = [("What is it?", (9,), "A gland."), ("Compare these slides", (3, 25), "No difference is seen.")]
TEXT = ("Hello there", (), "Good morning.")


def with_a_null_bag(inputs: dict[str, Any], processor: Any, side: str) -> dict[str, Any]:
    """As LLaMA-Factory does for a batch without images: the placeholders are hidden and without labels."""
    image_processor = processor.image_processor
    rows, tokens = inputs["input_ids"].shape[0], image_processor.tokens_of(1)
    fill = {"input_ids": torch.ones(rows, tokens, dtype=torch.int64), "attention_mask": 0, "labels": -100}
    fill["input_ids"][0] = processor.image_token_id
    out = {**inputs, **image_processor.null_inputs()}
    for name, value in fill.items():
        block = value if isinstance(value, torch.Tensor) else torch.full((rows, tokens), value)
        out[name] = torch.cat([inputs[name], block] if side == "right" else [block, inputs[name]], 1)
    return out


@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_null_bag_is_run_and_teaches_nothing(
    make_vlm: Callable[..., Path],
    load: Callable[..., Any],
    pack: Callable[..., Any],
    processor: Any,
    grads: Callable[..., Any],
    side: str,
    prefix: bool,
) -> None:
    model = load(make_vlm(None, use_prefix_lm_mask=prefix))
    text = pack(TEXT)
    wanted = model(**text)
    output = model(**with_a_null_bag(text, processor, side))
    torch.testing.assert_close(output.loss, wanted.loss)
    output.loss.backward()
    got = grads(model)
    parts = [n for n, _ in model.named_parameters() if n.startswith(("multi_modal_projector.", "vision_tower."))]
    assert set(parts) <= got.keys()  # ZeRO-3 waits for every one of them
    assert all(got[name].abs().max() == 0 for name in parts)
    assert got["model.layers.0.mlp.up_proj.weight"].abs().max() > 0


def test_every_trained_part_gets_a_gradient(
    vlm: Path, load: Callable[..., Any], pack: Callable[..., Any], grads: Any
) -> None:
    model = load(vlm).train()
    model(**pack(*ASKED)).loss.backward()
    got = grads(model)
    assert got.keys() == {name for name, _ in model.named_parameters()}
    zero = [name for name, value in got.items() if value.abs().max() == 0]
    assert zero == []


def like_llamafactory(calls: list[nn.Module], reentrant: bool) -> Callable[..., Any]:
    """Its rule, in our words: layers without a trainable parameter are not checkpointed."""

    def owner_of(function: Any) -> nn.Module:
        bound = getattr(getattr(function, "func", function), "__self__", None)
        return bound if bound is not None else function.args[0]  # so from Transformers 5.24 on

    def plain(function: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(owner_of(function))
        return checkpoint(function, *args, use_reentrant=reentrant, **kwargs)

    @functools.wraps(plain)
    def decorated(function: Any, *args: Any, **kwargs: Any) -> Any:
        run = plain if any(p.requires_grad for p in owner_of(function).parameters()) else lambda f, *a, **k: f(*a, **k)
        return run(function, *args, **kwargs)

    return decorated


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("trained", ["multi_modal_projector", "vision_tower", "model.layers.1", ""])
def test_checkpointing_is_used_and_changes_no_gradient(
    vlm: Path,
    load: Callable[..., Any],
    pack: Callable[..., Any],
    grads: Callable[..., Any],
    trained: str,
    reentrant: bool,
) -> None:
    model, inputs = load(vlm).train(), pack(*ASKED)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(trained))
    model(**inputs).loss.backward()
    wanted = grads(model)
    model.zero_grad()
    calls: list[nn.Module] = []
    model._set_gradient_checkpointing(
        enable=True, gradient_checkpointing_func=like_llamafactory(calls, reentrant and trained != "model.layers.1")
    )
    model(**inputs).loss.backward()
    got = grads(model)
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, atol=1e-6, rtol=1e-4)
    layers, tower = list(model.model.layers), list(model.vision_tower.encoder.layers)
    expected = {
        "multi_modal_projector": layers,  # frozen, but the connector's gradient passes through them
        "vision_tower": tower + layers,
        "model.layers.1": [layers[1]],  # nothing flows through the first one
        "": tower + layers,
    }
    assert [id(call) for call in calls] == [id(layer) for layer in expected[trained]]


def test_the_hosts_own_switch_turns_checkpointing_on_and_off(vlm: Path, load: Callable[..., Any]) -> None:
    model = load(vlm)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert model.is_gradient_checkpointing
    assert model.model.gradient_checkpointing or all(layer.gradient_checkpointing for layer in model.model.layers)
    assert model.vision_tower.encoder.gradient_checkpointing
    model.gradient_checkpointing_disable()
    assert not model.is_gradient_checkpointing


def test_bfloat16_forward_and_backward(
    vlm: Path, load: Callable[..., Any], pack: Callable[..., Any], grads: Any
) -> None:
    model, exact = load(vlm, torch_dtype=torch.bfloat16).train(), load(vlm)
    inputs = pack(*ASKED)
    output = model(**inputs)
    assert output.loss.item() == pytest.approx(exact(**inputs).loss.item(), rel=0.05)
    output.loss.backward()
    assert all(value.isfinite().all() for value in grads(model).values())


def test_a_connector_kept_in_float32_fits_between_parts_in_bfloat16(
    vlm: Path, load: Callable[..., Any], pack: Callable[..., Any]
) -> None:
    """Trainers raise what they train, or only the layer norms, to float32."""
    inputs = pack(*ASKED)
    for chosen in ("multi_modal_projector", "ln"):
        model = load(vlm, torch_dtype=torch.bfloat16)
        for name, parameter in model.named_parameters():
            if chosen in name and "multi_modal_projector" in name:
                parameter.data = parameter.data.float()
        loss = model(**inputs).loss
        loss.backward()
        assert model.multi_modal_projector.ln1.weight.grad.dtype == torch.float32


def adapted(model: Any, targets: Any, **options: Any) -> Any:
    torch.manual_seed(3)
    config = peft.LoraConfig(r=2, lora_alpha=8, target_modules=targets, init_lora_weights=False, **options)
    return peft.get_peft_model(model, config)


def test_lora_on_the_language_model_with_the_connector_trained_in_full(
    vlm: Path, load: Callable[..., Any], pack: Callable[..., Any], tmp_path: Path
) -> None:
    inputs = pack(*ASKED)
    model = adapted(load(vlm), r"model\.layers\.\d\.self_attn\.[qv]_proj", modules_to_save=["multi_modal_projector"])
    before = model(**inputs).loss
    before.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.05 * parameter.grad
    trained = model.eval()(**inputs).logits
    model.save_pretrained(tmp_path)

    again = peft.PeftModel.from_pretrained(load(vlm), tmp_path).eval()
    torch.testing.assert_close(again(**inputs).logits, trained)
    prompt = {name: value for name, value in pack(("What?", (9,), "")).items() if name != "labels"}
    answer = again.generate(**prompt, max_new_tokens=4, do_sample=False, pad_token_id=1)
    merged = again.merge_and_unload()
    torch.testing.assert_close(merged(**inputs).logits, trained, atol=1e-4, rtol=1e-4)
    assert torch.equal(merged.generate(**prompt, max_new_tokens=4, do_sample=False, pad_token_id=1), answer)

    connector = GammaMLPConnector(24, 64)
    load_projector(connector, tmp_path)
    assert all(
        torch.equal(value, merged.multi_modal_projector.state_dict()[name])
        for name, value in connector.state_dict().items()
    )
    assert not torch.equal(connector.linear_1.weight, load(vlm).multi_modal_projector.linear_1.weight)


def test_lora_on_the_connector(vlm: Path, load: Callable[..., Any], pack: Callable[..., Any], tmp_path: Path) -> None:
    inputs = pack(*ASKED)
    model = adapted(load(vlm), ["linear_1", "linear_2"]).eval()
    logits = model(**inputs).logits
    model(**inputs).loss.backward()
    assert model.base_model.model.multi_modal_projector.linear_1.lora_A["default"].weight.grad.abs().max() > 0
    assert (logits - load(vlm)(**inputs).logits).abs().max() > 1e-2
    model.save_pretrained(tmp_path / "adapter")
    with pytest.raises(CheckpointError, match=r"LoRA on the connector \(linear_1\.lora_A"):
        read_projector(tmp_path / "adapter")
    merged = model.merge_and_unload()
    torch.testing.assert_close(merged(**inputs).logits, logits, atol=1e-4, rtol=1e-4)
    merged.save_pretrained(tmp_path / "merged")
    connector = GammaMLPConnector(24, 64)
    load_projector(connector, tmp_path / "merged")
    assert torch.equal(connector.linear_1.weight, merged.multi_modal_projector.linear_1.weight)
