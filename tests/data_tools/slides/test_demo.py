from pathlib import Path

import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.slides.demo import GLASS_RGB, KINDS, paint, write_demo_slide

openslide = pytest.importorskip("openslide")


def test_levels_and_resolution(slides_folder: Path) -> None:
    with openslide.OpenSlide(slides_folder / "a.svs") as slide:
        assert slide.level_dimensions == ((1411, 1003), (352, 250))
        assert slide.properties["openslide.vendor"] == "aperio"
        assert float(slide.properties["openslide.mpp-x"]) == 0.5
        assert slide.properties["openslide.objective-power"] == "20"


def test_levels_show_the_same_picture(slides_folder: Path) -> None:
    with openslide.OpenSlide(slides_folder / "b.svs") as slide:
        sharp = slide.read_region((0, 0), 0, (1200, 1504)).convert("RGB").reduce(4)
        coarse = slide.read_region((0, 0), 1, (300, 376)).convert("RGB")
    assert np.abs(np.asarray(sharp).astype(int) - np.asarray(coarse)).mean() < 4


def test_same_arguments_same_file(tmp_path: Path) -> None:
    for name, seed in (("1", 7), ("2", 7), ("3", 8)):
        write_demo_slide(tmp_path / name, (300, 420), seed=seed)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes() != (tmp_path / "3").read_bytes()


def test_kinds_differ_and_glass_is_left() -> None:
    pictures = [paint((900, 700), seed=0, kind=kind, mpp=0.5) for kind in KINDS]
    assert len(pictures) == 4
    for picture in pictures:
        assert np.abs(picture[:20, :20].astype(int) - GLASS_RGB).max() < 12
    darkness = [(picture.mean(axis=-1) < 120).mean() for picture in pictures]
    assert darkness[1] > darkness[2] > darkness[0] > darkness[3]  # tumour, inflamed, normal, necrosis


@pytest.mark.parametrize(("size", "kind", "message"), [((3072, 2304), 9, "--kind 9"), ((100, 300), 0, "100x300")])
def test_refusals(tmp_path: Path, size: tuple[int, int], kind: int, message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        write_demo_slide(tmp_path / "s.svs", size, kind=kind)
