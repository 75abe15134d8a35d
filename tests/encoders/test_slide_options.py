"""Places of weights exclude each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.encoders.slide_options import SlideOptions


def test_weights_come_from_one_place() -> None:
    assert SlideOptions(random_weights=0).random_weights == 0
    with pytest.raises(PathPluginsError, match="--encoder-weights, --random-weights and --download exclude each other"):
        SlideOptions(encoder_weights=Path("w.bin"), random_weights=0)
