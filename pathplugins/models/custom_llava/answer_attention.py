"""Attention of an answer: how much of it the language model pays to each vision token while it says each word.

Axes: P tokens of the prompt, A of the answer, V vision tokens, L layers, S heads, T positions read so far.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.placeholders import positions_of

HELD = 2**26
"""Weights of attention held at a time, of all layers and heads: 256 MiB in float32."""


def answer_attention(model: Any, inputs: dict[str, Tensor], answer: Tensor) -> Tensor:
    """Read a prompt with the usual kernels, then its answer token by token as given, with the attention laid open.

    The prompt goes into a cache as in generation; only rows of the answer have their attention computed as a matrix,
    a few at a time, so that memory grows with the length of the text and not with its square.

    Args:
        model: `custom_llava`, with or without a PEFT adapter, in evaluation mode.
        inputs: what ``generate`` takes, of one prompt with one image.
        answer: [A] token ids, at least one.

    Returns:
        [A, V] float32: mean over layers and heads of the attention from the position at which each token of the answer
        is predicted; the rest of a row's 1 went to the text. On the model's device.

    Raises:
        PathPluginsError: the language model does not show its attention.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    prompt, device = inputs["input_ids"], inputs["input_ids"].device
    is_image = prompt[0] == base.config.image_token_id  # [P]
    if not len(answer):
        raise PathPluginsError("the answer is empty: nothing was said that could be traced to patches")
    if bool(is_image[-1]):
        raise PathPluginsError("the prompt ends with the image: an answer follows text, as chat templates write it")
    config = base.config.text_config
    _check_layers(config)
    with torch.inference_mode():
        cache = DynamicCache()
        last = _last_logits_alone(base)
        model(**inputs, past_key_values=cache, use_cache=True, **last)
        # Placeholders that an adaptive selector left empty are seen by nobody, in the answer too.
        seen = base._still_seen if base._still_seen is not None else inputs["attention_mask"]  # [1, P]
        looked_at = (is_image & seen[0].bool()).nonzero()[:, 0]  # [V]
        length = prompt.shape[1] - 1
        cache.crop(-1)  # the last token of the prompt is read once more: the first of the answer is predicted there
        ids = torch.cat([prompt[0, -1:], answer[:-1].to(device)])[None]  # [1, A]
        seen = torch.cat([seen, seen.new_ones(1, ids.shape[1] - 1)], 1)  # [1, P + A - 1]
        places = positions_of(seen)
        heads = config.num_hidden_layers * config.num_attention_heads
        step = max(1, HELD // (heads * seen.shape[1]))
        rows = []
        with _weights_shown(base):
            for start in range(0, ids.shape[1], step):
                end = min(start + step, ids.shape[1])
                output = model(
                    input_ids=ids[:, start:end],
                    attention_mask=seen[:, : length + end],
                    position_ids=places[:, length + start : length + end],
                    past_key_values=cache,
                    use_cache=True,
                    output_attentions=True,
                    **last,
                )
                layers = output.attentions
                _check_shown(layers, config.num_hidden_layers, end - start, length + end)
                rows.append(_mean(layers)[:, looked_at])
        base._still_seen = None
    return torch.cat(rows)


def _last_logits_alone(base: Any) -> dict[str, int]:
    """Return the option, by the name of this Transformers, that spares the logits [T, vocabulary] of a whole prompt."""
    known = inspect.signature(base._causal.forward).parameters
    return {name: 1 for name in ("logits_to_keep", "num_logits_to_keep") if name in known}


def _check_layers(config: Any) -> None:
    others = {*(getattr(config, "layer_types", None) or ())} - {"full_attention", "sliding_attention"}
    if others:
        raise PathPluginsError(
            f"the language model has layers of {', '.join(sorted(others))}, which show no attention to single tokens; "
            "its answers cannot be traced to patches"
        )


def _check_shown(layers: tuple[Tensor | None, ...] | None, count: int, rows: int, length: int) -> None:
    """Refuse attention that is not [1, S, rows, length] of each of ``count`` layers."""
    shown = [layer for layer in layers or () if layer is not None and layer.shape[2:] == (rows, length)]
    if len(shown) != count:
        raise PathPluginsError(
            f"{len(shown)} of {count} layers of the language model show their attention to all that was read; its "
            "answers cannot be traced to patches"
        )


def _mean(layers: tuple[Tensor, ...]) -> Tensor:
    """Return the mean over layers and heads: L times [1, S, A, T] to [A, T] float32."""
    total = torch.zeros(layers[0].shape[2:], device=layers[0].device)
    for layer in layers:
        total += layer[0].float().mean(0).to(total.device)
    return total / len(layers)


@contextmanager
def _weights_shown(base: Any) -> Iterator[None]:
    """Let the language model attend by the implementation that returns its weights, within the block."""
    config = base._causal.config
    usual = config._attn_implementation
    config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = usual
