"""From a model's tokens to one vector a patch."""

import pytest
from tiny_encoders import SIDE, run, tiny

from pathplugins.encoders.build import build_model
from pathplugins.encoders.pooling import feature_width, pooled
from pathplugins.encoders.registry import find_card

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")


def test_class_token_beside_the_mean_of_the_patches() -> None:
    for name, registers in (("virchow", 0), ("virchow2", 4)):
        small = tiny(find_card(name))
        model = build_model(small)
        tokens = run(model, torch.rand(2, 3, SIDE, SIDE))
        assert tokens.shape == (2, 1 + registers + 16, 48)
        wanted = torch.stack([torch.cat([t[0], t[1 + registers :].mean(0)]) for t in tokens])
        torch.testing.assert_close(pooled(small.pool, model, tokens), wanted)


def test_a_feature_map_is_averaged() -> None:
    card = tiny(find_card("resnet50-clam"))
    model = build_model(card)
    pixels = torch.rand(2, 3, SIDE, 2 * SIDE)
    (feature_map,) = run(model, pixels)
    wanted = torch.stack([channel.mean() for channel in feature_map.flatten(0, 1)]).view(2, -1)
    torch.testing.assert_close(pooled(card.pool, model, run(model, pixels)), wanted)
    assert feature_width(card.pool, model) == wanted.shape[1]
