"""ANTONI-Alpha's connector against its formula written out, image by image and head by head, values and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoProcessor

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.compose.projector import read_projector, save_projector
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.connectors.latent_queries import LatentQueriesConnector

C, H = 12, 20
VARIANTS: list[dict[str, Any]] = [{}, {"num_key_value_heads": 2}, {"num_key_value_heads": 1, "ffn_width": 7}]


def connector(**options: Any) -> LatentQueriesConnector:
    torch.manual_seed(2)
    part = CONNECTORS.get("latent_queries")(C, H, **{"num_queries": 5, "num_attention_heads": 4, **options})
    for parameter in part.parameters():
        nn.init.normal_(parameter, std=0.4)
    return part.double()


def tokens(counts: list[int], seed: int = 0) -> Tensor:
    drawn = torch.randn(sum(counts), C, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn.requires_grad_()


def reference(part: LatentQueriesConnector, image: Tensor, heads: int, groups: int) -> Tensor:
    """``layer_norm(y + w2 gelu(w1 y))``, ``y = Wo [softmax(q k / sqrt(C / h)) v of each head]``, of ``[N, C]``."""
    weights = dict(part.named_parameters())
    q = weights["query_tokens"][0] @ weights["q_proj.weight"].T
    k, v = image @ weights["k_proj.weight"].T, image @ weights["v_proj.weight"].T
    mixed = []
    for head in range(heads):
        group = head // (heads // groups)
        own_q = q[:, head * C // heads : (head + 1) * C // heads]
        own_k = k[:, group * C // heads : (group + 1) * C // heads]
        own_v = v[:, group * H // heads : (group + 1) * H // heads]
        mixed.append(torch.softmax(own_q @ own_k.T / math.sqrt(C / heads), -1) @ own_v)
    y = torch.cat(mixed, -1) @ weights["out_proj.weight"].T
    if "ffn.w1.weight" in weights:
        inner = y @ weights["ffn.w1.weight"].T
        y = y + (inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))) @ weights["ffn.w2.weight"].T
    centred = y - y.mean(-1, keepdim=True)
    y = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return y * weights["layer_norm.weight"] + weights["layer_norm.bias"]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.parametrize("counts", [[3, 3], [7, 1, 4], [9]], ids=str)
def test_equals_the_formula_for_bags_of_equal_and_unequal_length(options: dict[str, Any], counts: list[int]) -> None:
    part, x = connector(**options, dropout=0.0), tokens(counts)
    out = part(x, counts, [0] * len(counts))
    assert out.shape == (len(counts) * 5, H)
    wanted = torch.cat([reference(part, image, 4, options.get("num_key_value_heads", 4)) for image in x.split(counts)])
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-9)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inputs = [x, *part.parameters()]
    for got, right in zip(
        torch.autograd.grad((out * weight).sum(), inputs),
        torch.autograd.grad((wanted * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(got, right, rtol=1e-6, atol=1e-9)


def test_padding_takes_no_part() -> None:
    """With the published mask, which is the wrong way round, nothing but the padding would be seen."""
    part, short, long = connector(dropout=0.0), tokens([2]), tokens([9], seed=1)
    alone = part(short, [2], [0])
    beside = part(torch.cat([short, long]), [2, 9], [0, 0])
    torch.testing.assert_close(beside[:5], alone, rtol=0, atol=1e-12)
    torch.testing.assert_close(beside[5:], part(long, [9], [0]), rtol=0, atol=1e-12)


def test_names_and_sizes_are_the_published_ones() -> None:
    with torch.device("meta"):
        part = LatentQueriesConnector(1280, 2560)
        with_ffn = LatentQueriesConnector(1280, 2560, ffn_width=64)
    shapes = {name: tuple(value.shape) for name, value in part.state_dict().items()}
    assert shapes == {
        "query_tokens": (1, 256, 1280),
        "q_proj.weight": (1280, 1280),
        "k_proj.weight": (1280, 1280),
        "v_proj.weight": (2560, 1280),
        "out_proj.weight": (2560, 2560),
        "layer_norm.weight": (2560,),
        "layer_norm.bias": (2560,),
    }
    assert sum(value.numel() for value in part.parameters()) == 13_440_000
    assert part.fixed_tokens == 256
    assert part.layer_norm.eps == 1e-5
    assert with_ffn.state_dict().keys() - shapes.keys() == {"ffn.w1.weight", "ffn.w2.weight"}


def test_starts_as_published() -> None:
    torch.manual_seed(0)
    part = LatentQueriesConnector(64, 128, num_queries=16)
    bound = math.sqrt(6 / (16 * 64 + 64))
    assert 0.95 * bound < part.query_tokens.abs().max().item() <= bound
    for layer in (part.q_proj, part.v_proj, part.out_proj):
        assert 0.95 < layer.weight.abs().max().item() * math.sqrt(layer.in_features) <= 1


def test_drops_attention_weights_while_training_only() -> None:
    part, x = connector(dropout=0.5), tokens([6])
    torch.manual_seed(0)
    assert not torch.equal(part.train()(x, [6], [0]), part(x, [6], [0]))
    assert torch.equal(part.eval()(x, [6], [0]), part(x, [6], [0]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_queries": 0}, "num_queries must be at least 1"),
        ({"num_key_value_heads": 3}, "does not divide num_attention_heads"),
        ({"num_attention_heads": 5}, "num_attention_heads=5"),
        ({"ffn_width": 0}, "ffn_width"),
    ],
)
def test_refuses_options_that_do_not_fit(options: dict[str, Any], said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        connector(**options)


def test_refuses_counts_that_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="must add up to the 5 tokens"):
        connector()(tokens([5]), [3, 1], [0, 0])
    with pytest.raises(ValueError, match="at least 1"):
        connector()(tokens([5]), [5, 0], [0, 0])


SMALL = {"num_queries": 3, "num_attention_heads": 2, "dropout": 0.0}


def test_a_model_of_bags_of_unequal_length_without_positions(
    make_vlm: Callable[..., Path], load: Callable[..., Any], write_h5: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_vlm(
        vision_model_name="features",
        vision_config={"feature_dim": 10},
        random_vision_seed=None,
        vision_feature_select_mode="none",
        mm_projector_type="latent_queries",
        projector_config=SMALL,
    )
    model, processor = load(folder), AutoProcessor.from_pretrained(folder)
    bags = [[write_h5("latent a", 4), write_h5("latent b", 9)], [write_h5("latent c", 1)]]
    assert {processor.num_image_tokens(bag) for each in bags for bag in each} == {3}
    batch = processor(["<image>one<image>two", "<image>three"], bags)
    together = model(**batch).logits[1][batch["attention_mask"][1].bool()]
    alone = model(**processor(["<image>three"], bags[1:])).logits[0]
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    connector = model.multi_modal_projector
    saved = save_projector(connector.state_dict(), tmp_path, {"type": "latent_queries"})
    assert read_projector(saved)[0].keys() == connector.state_dict().keys()


def test_a_model_of_images(
    make_vlm: Callable[..., Path], load: Callable[..., Any], pallava: dict[str, Any], picture: Callable[..., Any]
) -> None:
    """All tiles of an image, as many as it has, become three tokens."""
    changes = {"mm_projector_type": "latent_queries", "projector_config": SMALL}
    folder = make_vlm(**{**pallava, **changes})
    model, processor = load(folder), AutoProcessor.from_pretrained(folder)
    images = [picture(37, 44), picture(20, 20)]
    batch = processor(["<image>one", "<image>two"], [[image] for image in images])
    features, counts = model.get_image_features(
        **{name: batch[name] for name in ("pixel_values", "tile_counts", "patch_seeds")}
    )
    assert counts == [3, 3]
    assert not torch.allclose(features[:3], features[3:])
    assert model(**batch).logits.isfinite().all()
