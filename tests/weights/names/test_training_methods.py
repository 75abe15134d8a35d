"""Layouts of training methods, told by names alone."""

import pytest

from pathplugins.published.encoders import CARDS
from pathplugins.weights.names.training_methods import BY_NAME, METHODS, method_of, parts_beside

NAMES = {
    "BYOL": ["net_target.net.conv1.weight", "net_online.net.conv1.weight"],
    "SimCLR": ["model.module.convnet.conv1.weight", "projection.0.weight"],
    "MoCo v2": ["module.encoder_q.conv1.weight", "module.queue"],
    "DINO": ["module.backbone.cls_token", "module.head.mlp.0.weight"],
    "MAE": ["cls_token", "mask_token", "decoder_pred.weight"],
    "DeepLabv3": ["backbone.conv1.weight", "classifier.0.convs.0.0.weight"],
    "supervised": ["conv1.weight", "fc.1.weight"],
    "MAE segmentation": ["cls_token", "decode_head.conv.weight"],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_method_is_known_by_its_names(name: str) -> None:
    assert method_of(NAMES[name]).name == name
    assert method_of([f"module.{key}" for key in NAMES[name]]).name == name


def test_every_method_was_tried_and_every_card_has_a_known_one() -> None:
    assert set(NAMES) == set(BY_NAME)
    assert len(BY_NAME) == len(METHODS)
    named = {card.method for card in CARDS if card.method}
    assert named == set(BY_NAME)


def test_an_encoder_alone_is_of_no_method() -> None:
    assert method_of(["conv1.weight", "layer1.0.conv1.weight", "fc.weight", "head.weight"]) is None


def test_what_lies_beside_is_counted_by_part() -> None:
    names = [
        "module.encoder_q.a",
        "module.encoder_q.fc.0.weight",
        "module.encoder_k.a",
        "module.encoder_k.b",
        "module.queue",
    ]
    assert parts_beside(names, "module.encoder_q.", ["a"]) == {"fc": 1, "encoder_k": 2, "queue": 1}
