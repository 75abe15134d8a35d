"""CONCH v1.5's image side against its parts written out, in float64, from a file with positions of half the side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_encoders import SIDE, run, shaken, tiny

from pathplugins.core.errors import CheckpointError
from pathplugins.encoders.build import build_model
from pathplugins.encoders.load_weights import load_weights
from pathplugins.encoders.registry import find_card
from pathplugins.models.towers.timm_checkpoint import read_timm
from pathplugins.models.towers.timm_vision import timm_vision

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
EXACT: dict[str, float] = {"atol": 1e-6, "rtol": 1e-6}


def pooled_by_hand(state: dict[str, Any], tokens: Any, heads: int) -> Any:
    """Features ``[B, D]`` of tokens ``[B, N, C]`` in single steps: as the published code, no projection with a bias."""

    def norm(x: Any, name: str) -> Any:
        mean, spread = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        return (x - mean) / (spread + 1e-5).sqrt() * state[f"{name}.weight"] + state[f"{name}.bias"]

    at = "attn_pool_contrast."
    keys, values = (norm(tokens, f"{at}ln_k") @ state[f"{at}to_kv.weight"].T).chunk(2, -1)  # each [B, N, D]
    query = (norm(state[f"{at}query"], f"{at}ln_q") @ state[f"{at}to_q.weight"].T)[0].unflatten(0, (heads, -1))
    keys, values = (x.unflatten(-1, (heads, -1)) for x in (keys, values))  # [B, N, heads, d]
    shares = (torch.einsum("hd,bnhd->bhn", query, keys) * query.shape[1] ** -0.5).softmax(-1)
    mixed = torch.einsum("bhn,bnhd->bhd", shares, values).flatten(1)
    return norm(mixed @ state[f"{at}to_out.weight"].T, "ln_contrast")


def published(state: dict[str, Any], half: int) -> tuple[dict[str, Any], Any]:
    """(the file: positions of ``half`` x ``half``; those that the published code makes of them at every step)."""
    places = torch.rand(1, 1 + half * half, 48, dtype=torch.float64)
    grid = places[:, 1:].reshape(1, half, half, 48).permute(0, 3, 1, 2)
    scale = (SIDE // 8 + 0.1) / half
    grid = torch.nn.functional.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    at_run = torch.cat([places[:, :1], grid.permute(0, 2, 3, 1).reshape(1, -1, 48)], 1)
    return {**state, "trunk.pos_embed": places}, at_run


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Any:
    from dataclasses import replace

    from pathplugins.encoders.registry import ENCODERS

    card = find_card("conch-v1.5")
    pixels = replace(card.preprocess, resize_px=SIDE, crop_px=SIDE)
    small = replace(tiny(card), preprocess=pixels)
    monkeypatch.setitem(ENCODERS._targets, card.name, small)
    return small


def test_features_and_tokens_are_those_of_the_published_steps(small: Any, tmp_path: Path) -> None:
    source = shaken(build_model(small)).double()
    file, at_run = published(source.state_dict(), half=2)
    torch.save(file, tmp_path / "w.bin")
    with torch.no_grad():
        source.trunk.pos_embed.copy_(at_run)
    model = build_model(small, 1).double()
    loaded = load_weights(model, tmp_path / "w.bin", positions=small.positions)
    assert loaded.resized == "position embeddings resized from 2 x 2 to 4 x 4 (dino)"
    pixels = torch.rand(2, 3, SIDE, SIDE, dtype=torch.float64)
    options, state = read_timm(str(tmp_path / "w.bin"), {"encoder": "conch-v1.5", "select_layer": -1})
    tower = timm_vision(options).eval()
    tower.load_state_dict(state)
    with torch.inference_mode():
        tokens = source.trunk.forward_features(pixels)
        torch.testing.assert_close(run(model, pixels), pooled_by_hand(source.state_dict(), tokens, 2), **EXACT)
        cls, seen = tower(pixels.float())
    torch.testing.assert_close(torch.cat([cls[:, None], seen], 1), tokens.float(), atol=1e-5, rtol=1e-4)


def test_gradients_reach_the_query_and_both_norms(small: Any) -> None:
    model = shaken(build_model(small)).double()
    state = {name: value.clone().requires_grad_(True) for name, value in model.state_dict().items()}
    tokens = torch.rand(2, 17, 48, dtype=torch.float64)
    pooled_by_hand(state, tokens, 2).square().sum().backward()
    model.ln_contrast(model.attn_pool_contrast(tokens)).square().sum().backward()
    for name, weight in model.named_parameters():
        if not name.startswith("trunk."):
            torch.testing.assert_close(weight.grad, state[name].grad, **EXACT, msg=name)


def test_a_grid_that_no_rule_resizes_is_refused(small: Any, tmp_path: Path) -> None:
    model = build_model(small)
    file, _ = published(model.state_dict(), half=2)
    torch.save(file, tmp_path / "w.bin")
    with pytest.raises(CheckpointError, match=r"has 1 of another shape \(trunk\.pos_embed\)"):
        load_weights(model, tmp_path / "w.bin")
