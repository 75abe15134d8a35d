"""``pathdata demo-slide``: a slide is not overwritten unasked."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("openslide")

from pathplugins.data_tools.tiling.coord_files import read_coords

Pathdata = Callable[..., tuple[int, str]]


def test_demo_slide_is_not_overwritten_unasked(pathdata: Pathdata, tmp_path: Path) -> None:
    arguments = ("demo-slide", tmp_path / "d.svs", "--size", "400x300", "--kind", 2)
    assert pathdata(*arguments)[0] == 0
    first = (tmp_path / "d.svs").read_bytes()
    code, said = pathdata(*arguments, "--seed", 1)
    assert code == 2
    assert "--overwrite" in said
    assert pathdata(*arguments, "--seed", 1, "--overwrite")[0] == 0
    assert (tmp_path / "d.svs").read_bytes() != first


def test_a_name_of_another_format_is_refused(pathdata: Pathdata, tmp_path: Path) -> None:
    code, said = pathdata("demo-slide", tmp_path / "d.png", "--size", "400x300")
    assert (code, "d.png: the slide is a TIFF; let its name end with .svs, .tif, .tiff" in said) == (2, True)
    assert not (tmp_path / "d.png").exists()


def test_the_patches_of_ptcga200_are_cut_from_a_40x_slide(pathdata: Pathdata, tmp_path: Path) -> None:
    """512 px at 0.39 um/px, 799 px of level 0; a slide of 0.5 um/px is refused."""
    slide, work = tmp_path / "sharp.svs", tmp_path / "work"
    code, said = pathdata("demo-slide", slide, "--size", "2200x1900", "--mpp", 0.25)
    assert code == 0
    assert "2200 x 1900 pixels, 0.25 um/px" in said
    code, said = pathdata("patch", slide, "--preset", "ptcga200", "--out", work, "--save-patches", "jpeg")
    assert code == 0, said
    patches = read_coords(work / "coords" / "sharp.h5")
    assert (patches.patch_size, patches.patch_size_level0) == (512, 799)
    assert patches.mpp == pytest.approx(0.39, abs=1e-3), "as whole pixels of level 0 allow"
    pictures = sorted((work / "patches" / "sharp").iterdir())
    assert len(pictures) == len(patches.coords_xy) > 0
    assert {Image.open(picture).size for picture in pictures} == {(512, 512)}
    pathdata("demo-slide", tmp_path / "blunt.svs", "--size", "1200x1100")
    code, said = pathdata("patch", tmp_path / "blunt.svs", "--preset", "ptcga200", "--out", tmp_path / "none")
    assert code == 1
    assert "asked for 0.39 um/px but it is 0.5 um/px at its sharpest" in said
