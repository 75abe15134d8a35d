"""Each file that `pathdata formats` says is checked: written here, and read back with its pixels and its resolution."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from slide_formats import MPP, WRITTEN, picture

from pathplugins.core.suffixes import SLIDE_SUFFIXES
from pathplugins.data_tools.slides.readers.table import FORMATS, format_table
from pathplugins.data_tools.slides.resolution import resolve
from pathplugins.data_tools.slides.slide import Slide

pytest.importorskip("openslide")


def test_the_table_says_what_is_checked_here() -> None:
    assert {(row.name, case) for row in FORMATS for case in row.checked} == set(WRITTEN)
    assert len(FORMATS) == len(format_table()) - 1 >= 9


def test_every_suffix_of_a_slide_has_a_row() -> None:
    listed = {suffix for row in FORMATS for suffix in row.suffixes}
    assert set(SLIDE_SUFFIXES) <= listed


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: "-".join(case).replace(" ", "_"))
def test_a_slide_reads_as_it_was_written(tmp_path: Path, case: tuple[str, str]) -> None:
    written, wanted = WRITTEN[case], picture()
    pytest.importorskip(written.needs)
    pytest.importorskip("imagecodecs")
    path = written.write(tmp_path, wanted)
    h, w = wanted.shape[:2]
    boxes = [(x, y, min(170, w - x), min(150, h - y)) for y in range(0, h, 131) for x in range(0, w, 113)]
    with Slide(path) as slide, ThreadPoolExecutor(4) as pool:
        assert slide.reader == written.reader
        assert slide.size_px0 == (w, h)
        read = list(pool.map(lambda box: slide.read(*box[:2], box[2:], box[2:]), boxes))
        beyond = slide.read(w - 10, h - 10, (20, 20), (20, 20))
        small = slide.read(0, 0, (w - 1, h), ((w - 1) // 2, h // 2))
        if written.mpp is not None:
            assert resolve(slide).mpp == pytest.approx(MPP, rel=1e-4)
    for (x, y, box_w, box_h), pixels in zip(boxes, read, strict=True):
        difference = np.abs(pixels.astype(int) - wanted[y : y + box_h, x : x + box_w])
        assert difference.max() <= written.tolerance, (x, y)
    assert (beyond[10:] == 255).all()
    assert (beyond[:, 10:] == 255).all()
    assert not (beyond[:10, :10] == 255).all()
    assert np.abs(small.astype(int) - wanted[::2, : w - 1 : 2]).mean() < 3
