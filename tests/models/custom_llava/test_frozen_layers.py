from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from pathplugins.models.custom_llava.frozen_layers import checkpoint_frozen_layers_too


def host() -> tuple[list[str], object]:
    """A checkpointing function that skips frozen layers, as LLaMA-Factory's, and what ran."""
    ran: list[str] = []

    def plain(layer: object, *args: Tensor) -> Tensor:
        ran.append("plain")
        return layer(*args)

    @functools.wraps(plain)
    def decorated(layer: object, *args: Tensor) -> Tensor:
        ran.append("decorated")
        return layer(*args)

    return ran, decorated


def test_a_frozen_layer_is_checkpointed_only_where_a_gradient_passes() -> None:
    ran, function = host()
    run = checkpoint_frozen_layers_too(function)
    layer = nn.Linear(3, 2)
    call = functools.partial(layer.__call__)
    run(call, torch.ones(1, 3))
    layer.requires_grad_(False)
    run(call, torch.ones(1, 3, requires_grad=True))
    assert run(call, torch.ones(1, 3)).shape == (1, 2)  # without either: nothing to recompute
    assert ran == ["decorated", "plain"]
    run(functools.partial(nn.Linear.forward, layer), torch.ones(1, 3, requires_grad=True))  # Transformers 5.24
    assert ran == ["decorated", "plain", "plain"]
    run(lambda x: x, torch.ones(1))
    assert ran[-1] == "decorated"
