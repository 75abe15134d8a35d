"""Encoders are built for the wanted picture size, or refused with what to do."""

from __future__ import annotations

import pytest
import torch

from pathplugins.classify.networks.encoder import Encoder, build_encoder, reset_statistics
from pathplugins.classify.options import ClassifyArguments
from pathplugins.core.errors import PathPluginsError


def built(**values: object) -> Encoder:
    return build_encoder(ClassifyArguments(**{"recipe": "supervised", "data": "d", "random_weights": 3, **values}))


def test_a_vit_of_another_size_keeps_its_position_embeddings() -> None:
    own, other = built(encoder="test_vit"), built(encoder="test_vit", image_size=48)
    assert (own.preprocess.crop_px, other.preprocess.crop_px, other.preprocess.resize_px) == (160, 48, 48)
    assert own.width == other.width == 64
    assert own.tokens
    assert torch.equal(own.model.pos_embed, other.model.pos_embed)
    assert other.model(torch.zeros(1, 3, 48, 48)).shape == (1, 64)


def test_deeplab_gets_finer_maps() -> None:
    encoder = built(encoder="test_resnet", recipe="segment", image_size=64)
    assert encoder.model_args["output_stride"] == 16
    assert not encoder.tokens
    assert encoder.model.forward_features(torch.zeros(1, 3, 64, 64)).shape[-2:] == (4, 4)


def test_statistics_are_forgotten_only_when_asked() -> None:
    model = built(encoder="test_resnet").model
    model.train()(torch.randn(4, 3, 32, 32))
    assert model.bn1.running_mean.abs().sum() > 0
    assert reset_statistics(model) > 3
    assert model.bn1.running_mean.abs().sum() == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"encoder": "test_resnet", "random_weights": None}, "no weights; set weights: FILE, random_weights: 0"),
        ({"encoder": "test_vit", "image_size": 50}, "with image_size 50: .*; set another image_size"),
        ({"encoder": "resnet5000"}, "unknown encoder 'resnet5000'. Did you mean"),
        ({"encoder": "test_mambaout", "recipe": "segment"}, "set head: fpn"),
        ({"encoder": "test_vit", "recipe": "segment", "head": "deeplabv3plus"}, "is a ViT; set head: tokens"),
        ({"encoder": "test_resnet", "recipe": "segment", "head": "tokens"}, "is no ViT; set head: deeplabv3plus"),
    ],
)
def test_encoders_that_cannot_be_used(values: dict[str, object], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        built(**values)
