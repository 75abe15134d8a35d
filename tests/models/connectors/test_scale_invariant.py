"""PA-LLaVA's connector against a slow copy of its formula, image by image (features A15, A17)."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.connectors.scale_invariant import ScaleInvariantConnector

N, C, H = 5, 12, 7
SMALL: dict[str, Any] = {"num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 17, "dropout": 0.0}


def connector(**options: Any) -> ScaleInvariantConnector:
    torch.manual_seed(2)
    part = CONNECTORS.get("scale_invariant")(C, H, **{**SMALL, **options})
    for parameter in part.parameters():
        nn.init.normal_(parameter, std=0.4)
    return part


def tokens(counts: list[int], seed: int = 0) -> Tensor:
    return torch.randn(sum(counts), N, C, generator=torch.Generator().manual_seed(seed))


def norm(x: Tensor, layer: nn.LayerNorm | None = None) -> Tensor:
    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-12).sqrt()
    return x if layer is None else x * layer.weight + layer.bias


def attend(x: Tensor, keys: Tensor, part: Any) -> Tensor:
    """Softmax attention written out, head by head; over no keys it is 0."""
    q, k, v = part.query(x), part.key(keys), part.value(keys)
    mixed = []
    for head in range(part.heads):
        of = slice(head * C // part.heads, (head + 1) * C // part.heads)
        scores = q[:, of] @ k[:, of].T / math.sqrt(C // part.heads)
        mixed.append(scores.softmax(-1) @ v[:, of])
    return norm(x + part.dense(torch.cat(mixed, -1)), part.norm)


def slow(part: ScaleInvariantConnector, packed: Tensor, counts: list[int], *, most: int | None = None) -> Tensor:
    """One image at a time; ``most`` repeats the last tile as the published mask lets it."""
    results = []
    for image in packed.split(counts):
        thumbnail, seen = image[0], image[1:]
        if most is not None and len(image) < most:
            seen = torch.cat([seen, image[-1:]])
        x = norm(thumbnail)
        for layer in part.layers:
            x = attend(x, x, layer.attention)
            if layer.cross_attention is not None:
                x = attend(x, seen.flatten(0, 1), layer.cross_attention)
            inner = layer.feed_forward.intermediate(x)
            inner = 0.5 * inner * (1 + torch.erf(inner / math.sqrt(2)))
            x = norm(x + layer.feed_forward.dense(inner), layer.feed_forward.norm)
        results.append(part.mlp(norm(x + thumbnail, part.norm)))
    return torch.stack(results)


@pytest.mark.parametrize("counts", [[4], [5, 5], [3, 6, 2], [1, 4, 3], [1], [1, 1]], ids=str)
@pytest.mark.parametrize("options", [{}, {"cross_attention_freq": 2}, {"projector_depth": 3}], ids=str)
def test_values_and_gradients_are_those_of_the_formula(counts: list[int], options: dict[str, int]) -> None:
    part, packed = connector(**options), tokens(counts).requires_grad_(True)
    part(packed, counts).square().sum().backward()
    fast = {name: p.grad.clone() for name, p in part.named_parameters()} | {"": packed.grad.clone()}
    part.zero_grad()
    packed.grad = None
    wanted = slow(part, packed, counts)
    torch.testing.assert_close(part(packed, counts), wanted, atol=1e-4, rtol=1e-4)
    assert wanted.shape == (len(counts), N, H)
    wanted.square().sum().backward()
    for name, parameter in [*part.named_parameters(), ("", packed)]:
        torch.testing.assert_close(
            fast[name], parameter.grad, atol=2e-3, rtol=1e-3, msg=lambda text, of=name: of + text
        )


@pytest.mark.parametrize("name", ["scale_invariant", "qformer_mlp"])
@pytest.mark.parametrize(("crosses", "count"), [(True, 59_862_016), (False, 45_678_592)])
def test_it_has_the_published_size(name: str, crosses: bool, count: int) -> None:
    with torch.device("meta"):
        part = CONNECTORS.get(name)(768, 4096, cross_attention=crosses)
    assert sum(p.numel() for p in part.parameters()) == count
    assert len(part.state_dict()) == (160 if crosses else 100)  # published: 161 and 101, with a buffer of positions
    assert part.across_tiles


def test_no_name_is_renamed_by_transformers_4_48() -> None:
    assert not [name for name in connector().state_dict() if "gamma" in name or "beta" in name]


def test_every_tile_counts_but_for_weights_trained_without() -> None:
    counts, packed = [3, 4], tokens([3, 4])
    changed = packed.clone()
    changed[6] += 1
    before, after = (connector()(x, counts) for x in (packed, changed))
    torch.testing.assert_close(before[0], after[0])
    assert not torch.allclose(before[1], after[1], atol=1e-3)
    before, after = (connector(cross_attention=False)(x, counts) for x in (packed, changed))
    assert torch.equal(before, after)
    torch.testing.assert_close(before, slow(connector(cross_attention=False), packed, counts), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("beside", [[9], [2, 2], [1]], ids=str)
def test_an_image_is_not_changed_by_those_beside_it(beside: list[int]) -> None:
    part, own = connector(), tokens([3])
    together = part(torch.cat([tokens(beside, 1), own]), [*beside, 3])
    torch.testing.assert_close(together[-1], part(own, [3])[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("counts", [[3, 6, 2], [1, 4, 3], [5, 5], [1, 1]], ids=str)
def test_compat_mask_sees_the_last_tile_twice(counts: list[int]) -> None:
    part, packed = connector(compat_mask=True), tokens(counts)
    got = part(packed, counts)
    torch.testing.assert_close(got, slow(part, packed, counts, most=max(counts)), atol=1e-4, rtol=1e-4)
    assert torch.allclose(got, connector()(packed, counts), atol=1e-4) == (min(counts) == max(counts))


@pytest.mark.parametrize("counts", [[1], [1, 1], [1, 3]], ids=str)
def test_no_weight_goes_without_a_gradient(counts: list[int]) -> None:
    """DDP waits for the gradient of every weight; an image without tiles must not hold it up."""
    part = connector(dropout=0.1).train()
    part(tokens(counts), counts).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in part.parameters())
    crossing = part.layers[0].cross_attention.key.weight.grad
    assert bool(crossing.any()) == (counts == [1, 3])


def test_every_batch_runs_the_same_modules() -> None:
    """ZeRO-3 gathers weights module by module, and all ranks have to gather the same ones."""
    part, calls = connector(), []
    for name, module in part.named_modules():
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
    runs = []
    for counts in ([1], [4, 4], [2, 5, 1]):
        part(tokens(counts), counts)
        runs.append(list(calls))
        calls.clear()
    assert runs[0] == runs[1] == runs[2]
    assert "layers.2.cross_attention.value" in runs[0]


def test_dropout_acts_in_training_only() -> None:
    part, packed = connector(dropout=0.5), tokens([3, 2])
    part.eval()
    assert torch.equal(part(packed, [3, 2]), part(packed, [3, 2]))
    part.train()
    assert not torch.equal(part(packed, [3, 2]), part(packed, [3, 2]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_number_types_fit_together(dtype: torch.dtype) -> None:
    """Tokens come in another type than the weights, and trainers keep norms in float32."""
    part, packed = connector().eval(), tokens([1, 3, 4])
    exact = part(packed, [1, 3, 4])
    part.to(dtype)
    for module in part.modules():
        if isinstance(module, nn.LayerNorm):
            module.float()
    got = part(packed, [1, 3, 4])
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), exact, atol=0.3, rtol=0.1)


@pytest.mark.parametrize("counts", [[], [3, 0, 2], [3, 3], [5, 1]], ids=str)
def test_counts_that_do_not_add_up_are_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match=r"tile_counts \[.*\] .*must add up to the 5 tiles of the batch"):
        connector()(tokens([5]), counts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_attention_heads": 5}, "the vision tokens, 12, which num_attention_heads=5 does not divide"),
        ({"num_hidden_layers": 0}, "num_hidden_layers must be at least 1, got 0"),
        ({"cross_attention_freq": 0}, "cross_attention_freq must be at least 1, got 0"),
        ({"projector_depth": 0}, "projector_depth must be at least 1, got 0"),
    ],
)
def test_impossible_shapes_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        connector(**options)
