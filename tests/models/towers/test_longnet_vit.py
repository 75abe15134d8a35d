"""The slide encoder against a slow, literal reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pathplugins.models.towers import dilated_attention as dilated
from pathplugins.models.towers import longnet_vit
from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT, patch_positions

BRANCHES = {
    "released-like": ((8, 20, 64), (1, 2, 4)),
    "growing": ((5, 9, 14), (2, 1, 4)),  # 5 and 14 are no multiples of their ratios
    "coinciding": ((16, 40, 40, 200), (1, 1, 2, 2)),  # equal for bags below 17 and again below 41
    "no ratio 1": ((6, 12), (2, 3)),
}


def reference_attention(q: Tensor, k: Tensor, v: Tensor, lengths: tuple[int, ...], ratios: tuple[int, ...]) -> Tensor:
    """Segment by segment, head by head, branch by branch, as published; ``[N, H, D]``."""
    n, heads, width = q.shape
    outs, lses = [], []
    for sl, r in zip(lengths, ratios, strict=True):
        g = min(sl, n)
        segments, grown, group = math.ceil(n / g), math.ceil(g / r) * r, math.ceil(heads / r)
        frame_out, frame_lse = torch.zeros(segments * grown, heads, width), torch.full((segments * grown, heads), -1e8)
        for s in range(segments):
            seg = [torch.zeros(grown, heads, width) for _ in range(3)]
            for whole, x in zip(seg, (q, k, v), strict=True):
                part = x[s * g : (s + 1) * g]
                whole[: len(part)] = part
            for h in range(heads):
                seen = torch.arange(h // group, grown, r)
                qs, ks, vs = (x[seen, h] for x in seg)
                scores = qs @ ks.T / math.sqrt(width)
                frame_out[s * grown + seen, h] = scores.softmax(-1) @ vs
                frame_lse[s * grown + seen, h] = scores.logsumexp(-1)
        outs.append(frame_out[:n])
        lses.append(frame_lse[:n])
    weights = torch.stack(lses).softmax(0).detach()  # [branches, N, H]
    return (weights.unsqueeze(-1) * torch.stack(outs)).sum(0)


def reference_forward(
    model: LongNetViT, features: Tensor, coords: Tensor, states: bool = False
) -> Tensor | list[Tensor]:
    """One bag through the published formulae with the weights of ``model``; ``[N + 1, C]``."""
    w, c = dict(model.named_parameters()), model.config

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Tensor, name: str, eps: float = 1e-5) -> Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + eps).sqrt()
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    rows = []
    for x_px, y_px in coords.tolist():
        cell = {"x": x_px // c.tile_size, "y": y_px // c.tile_size}
        omega = [10000 ** (-i / (c.embed_dim / 4)) for i in range(c.embed_dim // 4)]
        rows.append([f(cell[axis] * o) for axis in "yx" for f in (math.sin, math.cos) for o in omega])
    x = torch.cat([w["cls_token"][0], linear(features, "patch_embed.proj") + torch.tensor(rows)])
    hidden = [x]
    for i in range(c.depth):
        layer = f"encoder.layers.{i}"
        y = norm(x, f"{layer}.self_attn_layer_norm")
        q, k, v = (linear(y, f"{layer}.self_attn.{p}_proj").view(len(y), c.num_heads, -1) for p in "qkv")
        y = reference_attention(q, k, v, c.segment_lengths, c.dilated_ratios).flatten(1)
        x = x + linear(norm(y, f"{layer}.self_attn.inner_attn_ln"), f"{layer}.self_attn.out_proj")
        y = linear(norm(x, f"{layer}.final_layer_norm"), f"{layer}.ffn.fc1")
        y = norm(0.5 * y * (1 + torch.erf(y / math.sqrt(2))), f"{layer}.ffn.ffn_layernorm")
        x = x + linear(y, f"{layer}.ffn.fc2")
        hidden.append(x)
    if states:
        return [norm(h, "norm", 1e-6) for h in hidden]
    return norm(norm(x, "encoder.layer_norm"), "norm", 1e-6)


def small(heads: int = 4, branches: str = "released-like", **changes: object) -> LongNetViT:
    torch.manual_seed(7)
    lengths, ratios = BRANCHES[branches]
    options = {"in_chans": 10, "embed_dim": 24, "depth": 2, "num_heads": heads, "mlp_ratio": 1.5, **changes}
    model = LongNetViT(LongNetConfig(segment_lengths=lengths, dilated_ratios=ratios, **options))
    for parameter in model.parameters():  # norms that scale and shift, scores large enough to matter
        nn.init.normal_(parameter, 0.3 if parameter.ndim == 1 else 0.0, 0.4)
    return model.eval()


def bag(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed + n)
    cells = torch.randint(0, 1000, (n, 2), generator=generator)
    return torch.randn(n, 10, generator=generator), cells * 256 + torch.randint(0, 256, (n, 2), generator=generator)


def encode(model: LongNetViT, *bags: tuple[Tensor, Tensor], select_layer: int = -1) -> tuple[Tensor, Tensor]:
    features, coords = (torch.cat(parts) for parts in zip(*bags, strict=True))
    return model(features, coords, torch.tensor([len(f) for f, _ in bags]), select_layer=select_layer)


def relative_gap(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).detach().abs().max() / wanted.detach().abs().max())


@pytest.mark.parametrize("n", [1, 3, 8, 13, 20, 37, 64, 83])
@pytest.mark.parametrize("heads", [4, 6])
@pytest.mark.parametrize("branches", BRANCHES)
def test_attention_is_the_published_one(n: int, heads: int, branches: str) -> None:
    torch.manual_seed(n)
    lengths, ratios = BRANCHES[branches]
    qkv = [torch.randn(n, heads, 5, requires_grad=True) for _ in range(3)]
    probe = torch.randn(n, heads, 5)
    got = dilated.dilated_attention(*qkv, segment_lengths=lengths, ratios=ratios)
    wanted = reference_attention(*qkv, lengths, ratios)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
    for a, b in zip(torch.autograd.grad(got, qkv, probe), torch.autograd.grad(wanted, qkv, probe), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("heads", "branches"), [(4, "released-like"), (6, "released-like"), (6, "growing")])
@pytest.mark.parametrize("n", [2, 25, 77])
def test_tower_is_the_published_one(n: int, heads: int, branches: str) -> None:
    model, (features, coords) = small(heads, branches), bag(n)
    outputs = [torch.cat(encode(model, (features, coords))), reference_forward(model, features, coords)]
    assert relative_gap(*outputs) < 1e-5
    probe = torch.randn(n + 1, 24)
    grads = [torch.autograd.grad((out * probe).sum(), list(model.parameters())) for out in outputs]
    assert len(grads[0]) == 2 * 20 + 7
    scale = max(float(g.abs().max()) for g in grads[1])
    for got, wanted in zip(*grads, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5 * scale, rtol=1e-4)


def test_without_gradients_the_feed_forward_part_runs_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(longnet_vit, "FFN_ROWS_CPU", 7)
    model, one, rows = small(), bag(40), []
    model.encoder.layers[0].ffn.fc1.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    with torch.no_grad():
        got = torch.cat(encode(model, one))
    assert rows == [7, 7, 7, 7, 7, 6]
    assert relative_gap(got, reference_forward(model, *one)) < 1e-5


def test_hidden_states_count_like_upstream_and_skip_the_last_norm() -> None:
    model, (features, coords) = small(depth=3), bag(21)
    states = reference_forward(model, features, coords, states=True)
    for index in (0, 1, 2, 3, -2, -3, -4):
        got = torch.cat(encode(model, (features, coords), select_layer=index))
        assert relative_gap(got, states[index]) < 1e-5, index
    plain = torch.cat(encode(model, (features, coords)))
    assert relative_gap(plain, states[3]) > 1e-2
    with pytest.raises(ValueError, match=r"\[-4, 3\] for 3 layers, got 4"):
        encode(model, (features, coords), select_layer=4)


def test_layers_behind_the_selected_one_do_not_run() -> None:
    model = small(depth=3)
    nn.init.constant_(model.encoder.layers[2].ffn.fc1.weight, torch.nan)
    assert encode(model, bag(5), select_layer=-2)[1].isfinite().all()
    assert encode(model, bag(5))[1].isnan().all()


@pytest.mark.parametrize("layer", [None, 0, 1, 2])
def test_w28_where_the_cls_token_looks(layer: int | None) -> None:
    """One head over the whole width; a bag alone as in a batch; the tokens stay what they are (W28)."""
    model, bags = small(depth=3), [bag(n) for n in (19, 1, 33)]
    features, coords = (torch.cat(part) for part in zip(*bags, strict=True))
    counts = torch.tensor([19, 1, 33])
    cls, tokens, (weights, keys) = model.attend(features, coords, counts, layer=layer)
    torch.testing.assert_close((cls, tokens), model(features, coords, counts))
    index = 2 if layer is None else layer
    attention = model.encoder.layers[index].self_attn
    inputs: list[Tensor] = []
    handle = attention.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    for one, own, k in zip(bags, weights.split([19, 1, 33]), keys.split([19, 1, 33]), strict=True):
        encode(model, one)
        x = inputs.pop()
        wanted = (attention.k_proj(x) @ attention.q_proj(x[0]) / x.shape[1] ** 0.5).softmax(0)[1:]
        torch.testing.assert_close(own, wanted, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(k, attention.k_proj(x[1:]), atol=1e-5, rtol=1e-5)
    handle.remove()
    with pytest.raises(ValueError, match=r"must be in \[0, 2\]: the tower runs 3, got 3"):
        model.attend(features, coords, counts, layer=3)


def test_a_bag_alone_and_in_a_batch_agree() -> None:
    model, bags = small(6, "growing"), [bag(n) for n in (19, 1, 70, 33)]
    cls, tokens = encode(model, *bags)
    assert cls.shape == (4, 24)
    assert tokens.shape == (123, 24)
    alone = [encode(model, one) for one in bags]
    torch.testing.assert_close(cls, torch.cat([c for c, _ in alone]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tokens, torch.cat([t for _, t in alone]), atol=1e-5, rtol=1e-5)


def test_order_of_patches_matters_once_heads_skip_tokens() -> None:
    model, (features, coords) = small(), bag(30)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    tokens, shuffled = (encode(model, b)[1] for b in ((features, coords), (features[order], coords[order])))
    assert relative_gap(shuffled, tokens[order]) > 1e-3
    dense = LongNetViT(LongNetConfig(**asdict(model.config) | {"segment_lengths": [64], "dilated_ratios": [1]})).eval()
    tokens, shuffled = (encode(dense, b)[1] for b in ((features, coords), (features[order], coords[order])))
    torch.testing.assert_close(shuffled, tokens[order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kernel", ["cpu", "plain"])
@pytest.mark.parametrize("zero_keys", [0, 1, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_attention_with_log_sum_exp(
    monkeypatch: pytest.MonkeyPatch, kernel: str, zero_keys: int, dtype: torch.dtype
) -> None:
    assert dilated._CPU is not None, "this PyTorch has no fused CPU attention with a log-sum-exp"
    if kernel == "plain":
        monkeypatch.setattr(dilated, "_CPU", None)
        monkeypatch.setattr(dilated, "CHUNK_SCORES", 7 * 2 * 3 * 11)  # chunks of 7 rows out of 17
    torch.manual_seed(3)
    q, k, v = (torch.randn(2, 3, n, 6, dtype=dtype, requires_grad=True) for n in (17, 11, 11))
    out, lse = dilated.attend(q, k, v, zero_keys=zero_keys)
    k_all, v_all = (F.pad(x.double(), (0, 0, 0, zero_keys)) for x in (k, v))
    scores = q.double() @ k_all.mT / math.sqrt(6)
    wanted = scores.softmax(-1) @ v_all
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
    assert out.dtype == dtype
    assert lse.dtype == torch.promote_types(dtype, torch.float32)
    assert not lse.requires_grad
    torch.testing.assert_close(out.double(), wanted, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(lse.double(), scores.logsumexp(-1), atol=tolerance, rtol=tolerance)
    probe = torch.randn(2, 17, 3, 6, dtype=torch.float64).transpose(1, 2)  # as a host may hand it over: not contiguous
    got = torch.autograd.grad(out, (q, k, v), probe.to(dtype))
    for a, b in zip(got, torch.autograd.grad(wanted, (q, k, v), probe), strict=True):
        assert a.dtype == dtype
        torch.testing.assert_close(a.double(), b.double(), atol=2 * tolerance, rtol=2 * tolerance)


@pytest.mark.parametrize("kernel", [dilated._cuda_flash, dilated._cuda_efficient])
def test_cuda_kernels_take_and_give_what_we_expect(kernel: Callable[..., tuple[Tensor, Tensor]]) -> None:
    """Signatures and shapes only (the meta device); the numbers need a GPU, see the next test."""
    q, k, v = (torch.empty(2, 3, n, 48, dtype=torch.bfloat16, device="meta") for n in (17, 11, 11))
    out, lse = kernel(q, k, v)
    assert (out.shape, lse.shape, lse.dtype) == ((2, 3, 17, 48), (2, 3, 17), torch.float32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_cuda_agrees_with_the_published_attention(dtype: torch.dtype) -> None:
    torch.manual_seed(5)
    qkv = [torch.randn(83, 4, 48, requires_grad=True) for _ in range(3)]
    probe = torch.randn(83, 4, 48)
    on_gpu = (x.to("cuda", dtype) for x in qkv)
    got = dilated.dilated_attention(*on_gpu, segment_lengths=(8, 20, 64), ratios=(1, 2, 4)).cpu().float()
    wanted = reference_attention(*qkv, (8, 20, 64), (1, 2, 4))
    tolerance = 1e-3 if dtype == torch.float32 else 5e-2
    torch.testing.assert_close(got, wanted, atol=tolerance, rtol=tolerance)
    for a, b in zip(torch.autograd.grad(got, qkv, probe), torch.autograd.grad(wanted, qkv, probe), strict=True):
        torch.testing.assert_close(a, b, atol=2 * tolerance, rtol=2 * tolerance)


def test_coinciding_branches_run_once() -> None:
    assert [p.copies for p in dilated.pieces(11, (16, 40, 40, 200), (1, 1, 2, 2))] == [2, 2]
    assert [p.copies for p in dilated.pieces(41, (16, 40, 40, 200), (1, 1, 2, 2))] == [1, 1, 1, 1, 1, 1, 1]


def test_work_and_memory_grow_linearly() -> None:
    def scores(n: int) -> int:
        return sum(
            p.segments * (p.grown // p.ratio) ** 2
            for p in dilated.pieces(n, LongNetConfig().segment_lengths, LongNetConfig().dilated_ratios)
        )

    assert scores(1 << 22) / scores(1 << 21) < 2.1


def test_bfloat16_stays_close_and_norms_count_in_float32() -> None:
    model, one = small(), bag(45)
    exact = encode(model, one)[1]
    model.bfloat16()
    got = encode(model, one)[1]
    assert got.dtype == torch.bfloat16
    assert relative_gap(got.float(), exact) < 0.1
    model.norm.float()  # hosts keep norms apart
    assert encode(model, one)[1].dtype == torch.bfloat16
    offset = torch.full((1, 24), 300.0, dtype=torch.bfloat16) + torch.arange(24).mul(2).to(torch.bfloat16)
    wanted = F.layer_norm(offset.double(), (24,), model.norm.weight.double(), model.norm.bias.double(), 1e-6)
    torch.testing.assert_close(model.norm(offset).double(), wanted, atol=2e-2, rtol=1e-2)


def test_autocast_runs() -> None:
    model, one = small(), bag(33)
    with torch.autocast("cpu", torch.bfloat16):
        tokens = encode(model, one)[1]
    assert relative_gap(tokens.float(), encode(model, one)[1]) < 0.1


def test_features_are_cast_to_the_weights() -> None:
    model, (features, coords) = small(), bag(9)
    assert encode(model, (features.half(), coords))[1].dtype == torch.float32


def test_released_size_has_the_released_names() -> None:
    with torch.device("meta"):
        model = LongNetViT(LongNetConfig())
    state = model.state_dict()
    assert len(state) == 247
    assert sum(p.numel() for p in model.parameters()) == 86_330_880
    assert not list(model.buffers())
    assert model.hidden_size == 768
    assert {name.replace(".11.", ".i.") for name in state if ".layers." not in name or ".11." in name} == {
        "cls_token",
        "patch_embed.proj.weight",
        "patch_embed.proj.bias",
        *(f"encoder.layers.i.self_attn.{n}_proj.{w}" for n in ("q", "k", "v", "out") for w in ("weight", "bias")),
        *(
            f"encoder.layers.i.{n}.{w}"
            for n in (
                "self_attn.inner_attn_ln",
                "self_attn_layer_norm",
                "final_layer_norm",
                "ffn.fc1",
                "ffn.fc2",
                "ffn.ffn_layernorm",
            )
            for w in ("weight", "bias")
        ),
        *(f"{n}.{w}" for n in ("encoder.layer_norm", "norm") for w in ("weight", "bias")),
    }


def test_only_the_outer_norm_has_the_small_epsilon() -> None:
    norms = {name: module.eps for name, module in small().named_modules() if isinstance(module, nn.LayerNorm)}
    assert len(norms) == 4 * 2 + 2
    assert norms.pop("norm") == 1e-6
    assert set(norms.values()) == {1e-5}


def test_reset_draws_the_cls_token_only() -> None:
    model = small()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.reset_parameters()
    changed = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])]
    assert changed == ["cls_token"]


def test_positions_number_the_cells_column_by_column() -> None:
    coords = torch.tensor([[0, 0], [255, 256], [256, 255], [255_999, 255_999], [7 * 256, 3 * 256]])
    assert patch_positions(coords, tile_size=256, grid_size=1000).tolist() == [1, 2, 1001, 1_000_000, 7004]


@pytest.mark.parametrize("wrong", [[-1, 5], [5, 256_000], [300_000, 1]], ids=str)
def test_off_grid_is_an_error_that_names_the_patch(wrong: list[int]) -> None:
    features, coords = bag(6)
    coords[4] = torch.tensor(wrong)
    with pytest.raises(
        ValueError, match=rf"1 of 6 patches .* patch 4 at \(x, y\) = \({wrong[0]}, {wrong[1]}\).*0.5 mic"
    ):
        encode(small(), (features, coords))


@pytest.mark.parametrize("counts", [[4], [6, 0], [3, 4], []], ids=str)
def test_bags_that_do_not_fit_are_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        small()(*bag(6), torch.tensor(counts, dtype=torch.int64))


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_gives_the_same_gradients(reentrant: bool) -> None:
    model, bags = small().train(), [bag(12), bag(29)]
    encode(model, *bags)[1].square().sum().backward()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    seen: list[nn.Module] = []

    def host(call: object, *inputs: object) -> Tensor:
        seen.append(call.__self__)
        return checkpoint(call, *inputs, use_reentrant=reentrant)

    model.encoder.gradient_checkpointing = True
    model.encoder._gradient_checkpointing_func = host
    encode(model, *bags)[1].square().sum().backward()
    assert seen == list(model.encoder.layers)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name])


def test_a_frozen_tower_builds_no_graph() -> None:
    model = small().train().requires_grad_(False)
    model.encoder.gradient_checkpointing = True
    model.encoder._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        outputs = encode(model, bag(40))
    assert not saved
    assert all(out.grad_fn is None for out in outputs)


def test_dropout_and_drop_path_act_in_training_only() -> None:
    model, one = small(depth=4, dropout=0.5, drop_path_rate=0.5), bag(11)
    assert [layer.drop_path_rate for layer in model.encoder.layers] == pytest.approx([0, 1 / 6, 1 / 3, 1 / 2])
    assert torch.equal(encode(model, one)[1], encode(model, one)[1])
    model.train()
    assert not torch.equal(encode(model, one)[1], encode(model, one)[1])


def test_drop_path_drops_whole_bags() -> None:
    layer = small(depth=2, drop_path_rate=0.5).train().encoder.layers[1]
    kept = layer._drop(torch.ones(3 * 64, 2), (3,) * 64).view(64, 6)
    assert all(len(row.unique()) == 1 for row in kept)
    assert sorted(kept.unique().tolist()) == [0.0, 2.0]
