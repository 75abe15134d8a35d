"""CONCH's image side against its parts written out."""

from pathlib import Path
from typing import Any

import pytest
from tiny_encoders import SIDE, run, shaken, tiny

from pathplugins.encoders.build import build_model
from pathplugins.encoders.load_weights import load_weights
from pathplugins.encoders.registry import find_card

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")


def conch_by_hand(state: dict[str, Any], tokens: Any, heads: int) -> Any:
    """CONCH's pooler in single steps ``[B, D]`` of tokens ``[B, N, C]``."""
    norm = torch.nn.functional.layer_norm
    pooler = {k.removeprefix("attn_pool_contrast."): v for k, v in state.items() if k.startswith("attn_pool")}
    width = pooler["query"].shape[1]
    keys = norm(tokens, tokens.shape[-1:], pooler["ln_k.weight"], pooler["ln_k.bias"])
    query = norm(pooler["query"], (width,), pooler["ln_q.weight"], pooler["ln_q.bias"])  # [1, D]
    bias_q, bias_k, bias_v = pooler["attn.in_proj_bias"].chunk(3)
    q = (query @ pooler["attn.q_proj_weight"].T + bias_q).view(heads, -1)  # [heads, d]
    k = (keys @ pooler["attn.k_proj_weight"].T + bias_k).unflatten(-1, (heads, -1))  # [B, N, heads, d]
    v = (keys @ pooler["attn.v_proj_weight"].T + bias_v).unflatten(-1, (heads, -1))
    weights = (torch.einsum("hd,bnhd->bhn", q, k) * q.shape[1] ** -0.5).softmax(-1)
    mixed = torch.einsum("bhn,bnhd->bhd", weights, v).flatten(1)  # [B, D]
    out = mixed @ pooler["attn.out_proj.weight"].T + pooler["attn.out_proj.bias"]
    return norm(out, (width,), state["ln_contrast.weight"], state["ln_contrast.bias"])


def test_conch_is_trunk_pooler_and_norm_from_its_checkpoint(tmp_path: Path) -> None:
    card = tiny(find_card("conch"))
    source = shaken(build_model(card))
    state = source.state_dict()
    others = {
        "visual.proj_contrast": torch.zeros(24, 24),
        "visual.attn_pool_caption.query": torch.zeros(256, 24),
        "visual.ln_caption.weight": torch.zeros(24),
        "text.token_embedding.weight": torch.zeros(5, 8),
        "logit_scale": torch.ones(()),
    }
    torch.save({**{f"visual.{k}": v for k, v in state.items()}, **others}, tmp_path / "pytorch_model.bin")
    model = build_model(card, seed=1)
    loaded = load_weights(model, tmp_path / "pytorch_model.bin", unused=card.unused)
    assert (loaded.prefix, loaded.loaded) == ("visual.", len(state))
    pixels = torch.rand(2, 3, SIDE, SIDE)
    with torch.inference_mode():
        tokens = source.trunk.forward_features(pixels)
        torch.testing.assert_close(run(model, pixels), conch_by_hand(state, tokens, heads=2), atol=1e-5, rtol=1e-4)
    assert tokens.shape == (2, 17, 48)
