"""PA-LLaVA's connector by its published names: how much it is, and that each name means what it says (A15, A17)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pathplugins.models.connectors.scale_invariant import ScaleInvariantConnector
from pathplugins.weights.names.pallava import PREFIX, published_options, to_ours, to_published

HEADS = 3
VARIANTS: list[dict[str, Any]] = [
    {},
    {"crossing": ()},
    {"layers": 5, "crossing": (0, 2, 4)},
    {"layers": 2, "crossing": (0,), "depth": 3},
]


def by_our_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    named = [(to_ours(name.removeprefix(PREFIX)), value) for name, value in state.items()]
    return {name: value for name, value in named if name is not None}


def reference(state: dict[str, Tensor], image: Tensor) -> Tensor:
    """The published computation on published names: ``[T, N, C]``, thumbnail first, to ``[N, H]``."""

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ state[f"{PREFIX}{name}.weight"].T + state[f"{PREFIX}{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], state[f"{PREFIX}{name}.weight"], state[f"{PREFIX}{name}.bias"], 1e-12)

    def attend(x: Tensor, seen: Tensor, at: str) -> Tensor:
        q, k, v = linear(x, f"{at}.self.query"), linear(seen, f"{at}.self.key"), linear(seen, f"{at}.self.value")
        heads = [part.chunk(HEADS, -1) for part in (q, k, v)]
        mixed = [(a @ b.T / math.sqrt(a.shape[1])).softmax(-1) @ c for a, b, c in zip(*heads, strict=True)]
        return norm(linear(torch.cat(mixed, -1), f"{at}.output.dense") + x, f"{at}.output.LayerNorm")

    x, tiles = F.layer_norm(image[0], image.shape[-1:], eps=1e-12), image[1:].flatten(0, 1)
    n = 0
    while f"{PREFIX}bert.encoder.layer.{n}.attention.self.query.weight" in state:
        at = f"bert.encoder.layer.{n}"
        x = attend(x, x, f"{at}.attention")
        if f"{PREFIX}{at}.crossattention.self.query.weight" in state:
            x = attend(x, tiles, f"{at}.crossattention")
        inner = F.gelu(linear(x, f"{at}.intermediate_query.dense"))
        x = norm(linear(inner, f"{at}.output_query.dense") + x, f"{at}.output_query.LayerNorm")
        n += 1
    x = linear(norm(x + image[0], "norm"), "mlp.model.0")
    for place in (2, 4):
        if f"{PREFIX}mlp.model.{place}.weight" in state:
            x = linear(F.gelu(x), f"mlp.model.{place}")
    return x


@pytest.mark.parametrize("shape", VARIANTS, ids=str)
def test_every_name_means_what_it_says(published: Callable[..., dict[str, Tensor]], shape: dict[str, Any]) -> None:
    state = published(**shape)
    ours = by_our_names(state)
    part = ScaleInvariantConnector(24, 64, num_attention_heads=HEADS, **published_options(ours)).eval()
    part.load_state_dict(ours)
    tokens = torch.randn(7, 5, 24, generator=torch.Generator().manual_seed(1))
    wanted = torch.stack([reference(state, image) for image in tokens.split([3, 4])])
    torch.testing.assert_close(part(tokens, [3, 4]), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", VARIANTS, ids=str)
def test_our_names_turn_back_into_the_published(
    published: Callable[..., dict[str, Tensor]], shape: dict[str, Any]
) -> None:
    state = published(**shape)
    back = {to_published(name): value for name, value in by_our_names(state).items()}
    assert state.keys() - back.keys() == {"projector.model.bert.embeddings.position_ids"}
    assert all(value is state[name] for name, value in back.items())


@pytest.mark.parametrize(("crossing", "keys", "count"), [(range(6), 161, 59_862_016), ((), 101, 45_678_592)])
def test_both_variants_have_the_published_size(
    shapes_of: Callable[..., dict[str, tuple[int, ...]]], crossing: range, keys: int, count: int
) -> None:
    shapes = shapes_of(layers=6, crossing=crossing, width=768, inner=3072, out=4096)
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    assert len(state) + 1 == keys  # and the buffer of position numbers
    assert sum(value.numel() for value in state.values()) == count
    options = published_options(by_our_names(state))
    with torch.device("meta"):
        part = ScaleInvariantConnector(768, 4096, **options)
    own = {name: value.shape for name, value in part.state_dict().items()}
    assert own == {name: value.shape for name, value in by_our_names(state).items()}
    defaults = {"num_hidden_layers": 6, "projector_depth": 1, "intermediate_size": 3072}
    crosses = {"cross_attention": bool(crossing), **({"cross_attention_freq": 1} if crossing else {})}
    assert options == {**defaults, **crosses}


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ({"layers": 5, "crossing": (0, 2, 4)}, {"num_hidden_layers": 5, "cross_attention_freq": 2}),
        ({"layers": 4, "crossing": (0, 3)}, {"num_hidden_layers": 4, "cross_attention_freq": 3}),
        ({"layers": 4, "crossing": (0,)}, {"cross_attention": True, "cross_attention_freq": 4}),
        ({"depth": 3, "inner": 9}, {"projector_depth": 3, "intermediate_size": 9}),
    ],
    ids=str,
)
def test_names_and_shapes_tell_the_options(
    published: Callable[..., dict[str, Tensor]], shape: dict[str, Any], told: dict[str, Any]
) -> None:
    assert published_options(by_our_names(published(**shape))).items() >= told.items()


def test_other_connectors_are_left_alone() -> None:
    names = ["linear_1.weight", "scale_logit", "0.bias", "ln1.weight", "bert.encoder.layer.0.unheard.of.weight"]
    assert [to_ours(name) for name in names] == names
    assert published_options(dict.fromkeys(names, torch.zeros(1))) == {}
