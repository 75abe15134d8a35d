"""``pathplugins bag`` prints where the bag lies that ``ask --slide`` would read."""

from __future__ import annotations

from pathlib import Path

import pytest
from talking_models import TRIAL

from pathplugins.cli import main

pytest.importorskip("openslide")
pytest.importorskip("timm")


def test_it_is_the_bag_that_is_asked_about(
    talker: Path, slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pathplugins.commands.loading import load_processor
    from pathplugins.commands.slide_bags import made_bag
    from pathplugins.encoders.slide_options import SlideOptions

    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path))
    assert main(["bag", str(talker), "--slide", str(slide), *TRIAL]) == 0
    made = made_bag(slide, load_processor(talker).image_processor, SlideOptions(encoder=TRIAL[1], random_weights=0))
    assert made is not None
    assert capsys.readouterr().out == f"{made.bag}\n"
    assert main(["bag", str(talker), "--slide", str(made.bag), *TRIAL]) == 2
    assert f"--slide {made.bag} is a feature bag" in capsys.readouterr().err
