"""Options of timm towers, and what is found out by running the model without memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.towers import timm_config
from pathplugins.models.towers.timm_config import TimmVisionConfig, resolved

pytest.importorskip("timm")
VIT = {"architecture": "test_vit", "model_args": {"img_size": 48}, "image_size": 48}
RESNET = {"architecture": "test_resnet", "image_size": 48}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (VIT, (-2, 64, 9, 1, True, [])),
        ({**VIT, "model_args": {"img_size": 48, "reg_tokens": 3}}, (-2, 64, 9, 4, True, [])),
        (
            {**VIT, "model_args": {"img_size": 48, "global_pool": "avg"}, "select_layer": -1},
            (-1, 64, 9, 1, True, ["fc_norm"]),
        ),
        (RESNET, (-1, 96, 4, 0, False, [])),
        ({**RESNET, "select_layer": 1}, (1, 32, 144, 0, False, [])),
        ({"architecture": "test_convnext", "image_size": 64}, (-1, 64, 4, 0, False, ["head"])),
    ],
)
def test_what_follows_from_the_architecture(options: dict[str, Any], wanted: tuple[Any, ...]) -> None:
    found = resolved(TimmVisionConfig(**options))
    layer, width, tokens, prefix, token, unused = wanted
    got = (found.select_layer, found.hidden_size, found.tokens_per_tile, found.prefix_tokens, found.class_token)
    assert (*got, found.unused) == (layer, width, tokens, prefix, token, unused)


def test_what_is_known_is_not_worked_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found = resolved(TimmVisionConfig(**VIT))
    monkeypatch.setattr(timm_config, "new_encoder", lambda _: pytest.fail("built"))
    assert resolved(TimmVisionConfig(**vars(found))) == found


def test_it_is_worked_out_within_inference_too() -> None:
    with torch.no_grad():
        assert resolved(TimmVisionConfig(**RESNET)).unused == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "image_size must be positive, got 0"),
        ({"interpolation": "nearest"}, "interpolation must be bicubic or bilinear, got 'nearest'"),
        ({**VIT, "select_layer": 0}, r"select_layer must be in \[-6, 6\] but 0 for the 6 layers of test_vit, got 0"),
        ({**VIT, "select_layer": -7}, r"select_layer must be in \[-6, 6\] but 0 for the 6 layers of test_vit, got -7"),
        ({**RESNET, "select_layer": 5}, r"select_layer must be in \[-5, 4\] for the 5 layers of test_resnet, got 5"),
        ({"architecture": "vit_tiny"}, "architecture 'vit_tiny' with model_args {} cannot be built: .*vit_tiny"),
        (
            {**VIT, "model_args": {"depht": 3}},
            r"model_args \{'depht': 3\} cannot be built: .*depht.*; correct the names",
        ),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        resolved(TimmVisionConfig(**options))
