"""Every row of the encoder table as an eye: what is listed is what is built, by the keys that are printed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from timm_eyes import settled
from tiny_encoders import SIDE, tiny

from pathplugins.core.errors import PathPluginsError
from pathplugins.encoders.build import build_model
from pathplugins.encoders.registry import ENCODERS
from pathplugins.models.custom_llava.image_processing import TiledImageProcessor
from pathplugins.models.towers import TOWERS
from pathplugins.models.towers.eyes import eyes, find_eye
from pathplugins.models.towers.timm_vision import timm_vision
from pathplugins.published.encoders import CARDS

timm = pytest.importorskip("timm")


def timms(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Tokens [B, N, C] by timm's own functions for users: the last block but one, or the last map."""
    trunk = getattr(model, "trunk", model)
    if hasattr(trunk, "blocks"):
        wanted = {"indices": [len(trunk.blocks) - 2], "norm": False, "intermediates_only": True}
        (found,) = trunk.forward_intermediates(images, **wanted)
    else:
        found = trunk.forward_features(images) if hasattr(trunk, "forward_features") else trunk(images)[-1]
    if getattr(trunk, "output_fmt", "") == "NHWC":
        found = found.permute(0, 3, 1, 2)
    return found.flatten(2).transpose(1, 2)


def test_every_row_is_an_eye_by_all_of_its_names() -> None:
    assert [eye.name for eye in eyes()] == [card.name for card in CARDS]
    assert find_eye("UNI_v2").name == find_eye("hf-hub:MahmoodLab/UNI2-h").name == "uni2-h"
    assert find_eye("conch_v15").keys["vision_config"] == {"encoder": "conch-v1.5"}
    with pytest.raises(PathPluginsError, match=r"unknown eye 'unii'\. Did you mean 'uni'"):
        find_eye("unii")


def test_eyes_say_how_their_weights_are_had() -> None:
    for eye, card in zip(eyes(), CARDS, strict=True):
        assert (eye.access == "own file") == (not eye.fetch) == card.local_only
        assert eye.keys["vision_tower"].endswith(card.hub_file or "FILE")
        assert all((eye.licence, eye.licence_told, eye.source, eye.checked))


def test_a_clip_whose_activation_is_open_is_no_eye_of_timm() -> None:
    others = {eye.name: eye.keys["vision_config"] for eye in eyes() if eye.keys["vision_model_name"] != "timm"}
    assert others == {"pathgen-clip": {"hidden_act": "quick_gelu"}}


@pytest.mark.parametrize("card", [card for card in CARDS if card.name != "pathgen-clip"], ids=lambda card: card.name)
def test_the_keys_give_a_tower_and_the_pixels_of_the_row(
    card: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small model of the row, read by its printed keys with the layer that shipped files set for transformers."""
    eye = find_eye(card.name)
    pixels = replace(card.preprocess, resize_px=SIDE, crop_px=SIDE)
    small = replace(tiny(card), preprocess=pixels)
    monkeypatch.setitem(ENCODERS._targets, card.name, small)
    model = settled(build_model(small))
    torch.save(model.state_dict(), tmp_path / "w.pth")
    told = {"select_layer": -2, **eye.keys["vision_config"]}  # as mm_vision_select_layer: -2 stands in a YAML
    options, state = TOWERS.get(eye.keys["vision_model_name"]).read_weights(str(tmp_path / "w.pth"), told)
    tower = timm_vision(options).eval()
    tower.load_state_dict(state)
    last = -1 if card.architecture.startswith(("resnet", "swin")) else -2
    assert options["select_layer"] == {"resnet50-clam": 3}.get(card.name, last)
    assert (tower.preprocess.mean, tower.preprocess.std) == (eye.mean, eye.std) == (pixels.mean, pixels.std)
    assert tower.preprocess.interpolation == eye.interpolation
    tiles = TiledImageProcessor(
        tile_size=tower.tile_size,
        tokens_per_tile=tower.tokens_per_tile,
        image_aspect_ratio="pad",
        image_mean=eye.mean,
        image_std=eye.std,
        interpolation=eye.interpolation,
    )
    assert (tiles.image_mean, tiles.image_std) == (list(eye.mean), list(eye.std))
    images = torch.rand(2, 3, SIDE, SIDE, dtype=torch.float64)
    with torch.inference_mode():
        cls, tokens = tower.double()(images)
        torch.testing.assert_close(tokens, timms(model.double(), images), atol=1e-6, rtol=1e-6)
    assert tokens.shape == (2, tower.tokens_per_tile, tower.hidden_size)
    assert cls.shape == (2, tower.hidden_size)
