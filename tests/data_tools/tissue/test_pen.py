"""Ink goes, and no tissue with it: painted pens, painted tissue of all kinds, the real slide."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from pathplugins.data_tools.slides.demo import KINDS, paint
from pathplugins.data_tools.tissue.detect import TissueSpec, tissue_mask

GLASS = (243, 242, 244)
MPP = 4.0
INKS = {
    "blue": (30, 70, 180),
    "light blue": (60, 130, 215),
    "green": (20, 140, 80),
    "pale green": (120, 190, 140),
    "turquoise": (30, 150, 150),
    "red": (215, 30, 45),
    "black": (40, 38, 42),
    "washed black": (80, 80, 86),
}
STAINS = {
    "haematoxylin": (62, 40, 120),
    "dark haematoxylin": (42, 28, 84),
    "bluish haematoxylin": (84, 80, 160),
    "eosin": (214, 70, 120),
    "deep eosin": (190, 40, 90),
    "blood": (180, 52, 60),
    "pale": (232, 200, 220),
    "brown pigment": (110, 70, 45),
}


def drawn(colour: tuple[int, int, int], *, blur: float = 1.5) -> Image.Image:
    """A stroke 0.6 mm wide, its edges running out, on glass of 1.4 x 2 mm; with the noise of a scanner."""
    picture = Image.new("RGB", (500, 350), GLASS)
    ImageDraw.Draw(picture).line([(60, 280), (250, 80), (440, 260)], fill=colour, width=75)
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(blur)), np.int64)
    noise = np.random.default_rng(0).integers(-3, 4, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("name", INKS)
def test_ink_on_glass_is_no_tissue(name: str) -> None:
    rgb = np.asarray(drawn(INKS[name]))
    assert not tissue_mask(rgb, MPP, TissueSpec()).any()
    if "black" not in name:  # which is grey, and dark: no tissue anyway
        assert tissue_mask(rgb, MPP, TissueSpec(remove_pen=False)).mean() > 0.1


@pytest.mark.parametrize("name", STAINS)
def test_stained_tissue_is_no_ink(name: str) -> None:
    rgb = np.asarray(drawn(STAINS[name]))
    with_pen, without = (tissue_mask(rgb, MPP, TissueSpec(remove_pen=remove)) for remove in (False, True))
    assert with_pen.mean() > 0.1
    assert np.array_equal(with_pen, without)


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_made_up_tissue_stays_and_ink_beside_it_goes(kind: int) -> None:
    pixels = paint((2000, 1504), seed=kind, kind=KINDS[kind], mpp=0.5)
    thumbnail = Image.fromarray(pixels).reduce(8)
    spec = TissueSpec()
    tissue = tissue_mask(np.asarray(thumbnail), MPP, spec)
    assert tissue.mean() > 0.2
    assert np.array_equal(tissue, tissue_mask(np.asarray(thumbnail), MPP, TissueSpec(remove_pen=False)))
    for colour in INKS.values():
        inked = thumbnail.copy()
        ImageDraw.Draw(inked).rectangle((0, 160, 249, 187), fill=colour)
        mask = tissue_mask(np.asarray(inked), MPP, spec)
        assert not mask[160:].any()
        assert np.array_equal(mask[:130], tissue[:130])


def test_the_real_slide_has_no_ink(real_slide: Path) -> None:
    pytest.importorskip("openslide")
    from pathplugins.data_tools.slides.slide import Slide

    with Slide(real_slide) as slide:
        rgb = slide.thumbnail((277, 370))
    tissue = tissue_mask(rgb, MPP, TissueSpec())
    assert 0.3 < tissue.mean() < 0.45
    assert np.array_equal(tissue, tissue_mask(rgb, MPP, TissueSpec(remove_pen=False)))


def test_small_specks_of_ink_colour_are_tissue() -> None:
    """Pigment, crushed nuclei: a tenth of a millimetre is no pen."""
    picture = drawn(STAINS["eosin"])
    for colour in INKS.values():
        speckled = picture.copy()
        ImageDraw.Draw(speckled).rectangle((240, 100, 264, 124), fill=colour)
        mask = tissue_mask(np.asarray(speckled), MPP, TissueSpec())
        assert mask[80:140, 200:300].mean() > 0.8


def test_all_ink_is_no_tissue_at_all() -> None:
    assert not tissue_mask(np.full((90, 70, 3), INKS["green"], np.uint8), MPP, TissueSpec()).any()
