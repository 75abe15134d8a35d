"""What SlideChat's slide encoder expects of a bag, and options that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.towers import tower_expects
from pathplugins.models.towers.slidechat_config import SlideChatConfig


def test_it_reads_conch_without_positions() -> None:
    contract = tower_expects({"model_type": "slidechat"})
    assert (contract.feature_dim, contract.expects_encoder) == (512, "conch")
    assert not contract.needs_positions
    assert not contract.slide_token
    other = tower_expects({"model_type": "slidechat", "embed_dim": 48})
    assert (other.feature_dim, other.expects_encoder) == (48, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"depth": 0}, "depth must be positive, got 0"),
        ({"embed_dim": 20}, "embed_dim must be a multiple of num_heads=8, got 20"),
        ({"segment_lengths": [4]}, "one dilated ratio per segment length"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"drop_path_rate": -0.1}, "drop_path_rate must be in"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        SlideChatConfig(**options)
