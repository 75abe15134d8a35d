"""CLAM's ResNet: the row builds the first three stages."""

import pytest
from encoder_rows import check_row

from pathplugins.published.encoders.convolutional import CONVOLUTIONAL

timm = pytest.importorskip("timm")


def test_the_row_builds_the_model_it_describes() -> None:
    (card,) = CONVOLUTIONAL
    check_row(card, 8.54e6)  # of the 25.6 million of the whole network
    assert card.unused == ("layer4.",)
