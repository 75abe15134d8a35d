"""The reference: OpenCLIP's forward written out, by the properties that its papers give."""

from __future__ import annotations

import pytest
import torch
from tiny_open_clip import write_open_clip
from torch import Tensor

from pathplugins.models.foreign.open_clip.reference import image_features, text_features
from pathplugins.published.open_clip import GELU, QUICK_GELU


@pytest.fixture
def vision(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return torch.load(write_open_clip(tmp_path_factory.mktemp("clip") / "clip.pt"), weights_only=True)


def text_state(vision: dict[str, Tensor]) -> dict[str, Tensor]:
    """A text transformer of the same layers."""
    draw = torch.Generator().manual_seed(1)
    state = {name.removeprefix("visual."): value for name, value in vision.items() if ".transformer." in name}
    more = {"token_embedding.weight": (30, 64), "positional_embedding": (9, 64), "text_projection": (64, 20)}
    more |= {"ln_final.weight": (64,), "ln_final.bias": (64,)}
    return state | {name: torch.randn(shape, generator=draw) for name, shape in more.items()}


def test_shapes_and_the_activation(vision: dict[str, Tensor]) -> None:
    pixels = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(2))
    features, tokens = image_features(vision, pixels, layers=3, heads=4, activation=GELU)
    assert (features.shape, tokens.shape) == ((2, 20), (2, 17, 64))
    other, _ = image_features(vision, pixels, layers=3, heads=4, activation=QUICK_GELU)
    assert not torch.allclose(features, other)
    alone, _ = image_features(vision, pixels[1:], layers=3, heads=4, activation=GELU)
    torch.testing.assert_close(alone[0], features[1])
    bare = {name: value for name, value in vision.items() if name != "visual.proj"}
    width, _ = image_features(bare, pixels, layers=3, heads=4, activation=GELU)
    torch.testing.assert_close(width @ vision["visual.proj"], features)


def test_a_text_is_read_at_its_highest_id_and_only_up_to_there(vision: dict[str, Tensor]) -> None:
    state, run = text_state(vision), {"layers": 3, "heads": 4, "activation": GELU}
    ids = torch.tensor([[1, 5, 29, 0, 0], [1, 5, 29, 3, 4], [1, 6, 29, 0, 0]])
    features = text_features(state, ids, **run)
    assert features.shape == (3, 20)
    torch.testing.assert_close(features[0], features[1])
    assert not torch.allclose(features[0], features[2])
