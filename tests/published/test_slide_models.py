"""Rows of slide models: each says what it reads, gives and is good for here."""

from __future__ import annotations

import pytest

from pathplugins.models.towers import TOWERS
from pathplugins.published.encoder_names import encoder_key
from pathplugins.published.encoders import CARDS
from pathplugins.published.slide_models import FEATHER_BY_WIDTH, NOT_TOWERS, SLIDE_MODELS, SlideModel


@pytest.mark.parametrize("model", SLIDE_MODELS, ids=lambda model: model.title)
def test_a_row_is_whole(model: SlideModel) -> None:
    assert model.patch_encoder in {card.name for card in CARDS}
    assert model.width > 0
    assert model.source.startswith("https://")
    assert all(statement.by for statement in model.licence.statements)
    assert "vision_model_name: " in model.use
    if model.hub_id:
        assert encoder_key(model.hub_id) == model.name


def test_their_names_are_no_towers_and_feathers_are_told_by_the_width_they_read() -> None:
    assert not {*NOT_TOWERS} & {*TOWERS}
    widths = {card.name: card.width for card in CARDS}
    assert all(widths[model.patch_encoder] == width for width, model in FEATHER_BY_WIDTH.items())


def test_bags_of_their_features_are_recognised() -> None:
    tower = TOWERS.get("features")
    assert tower.expects({"encoder": "prism"}).feature_dim == 1280
    assert tower.expects({"encoder": "MahmoodLab/TITAN"}).feature_dim == 768
