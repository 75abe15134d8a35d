"""The page on slides names every patching preset, with its size."""

import re
from pathlib import Path

from pathplugins.data_tools.tiling.presets import PRESETS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "slides.md"


def test_the_presets_of_the_page_are_those_there_are() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    listed = re.search(r"\*\*Presets\*\*.*?: (.*?)\. \*\*", text)
    assert listed is not None
    found = re.findall(r"`([\w-]+)` (\d+)(?: px)? at ([\d.]+)", listed[1])
    assert {(name, int(size), float(mpp)) for name, size, mpp in found} == {
        (name, row.patch_size, row.mpp) for name, row in PRESETS.items()
    }
