from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.slides.slide import Slide, SlideError

openslide = pytest.importorskip("openslide")


def test_pixels_of_a_level_are_those_of_read_region(slides_folder: Path) -> None:
    path = slides_folder / "a.svs"
    with Slide(path) as slide, openslide.OpenSlide(path) as reference:
        assert slide.size_px0 == (1411, 1003)
        read = slide.read(301, 177, (190, 130), (190, 130))
        assert np.array_equal(read, np.asarray(reference.read_region((301, 177), 0, (190, 130)).convert("RGB")))
        read = slide.read(320, 160, (380, 260), (95, 65))
        assert np.array_equal(read, np.asarray(reference.read_region((320, 160), 1, (95, 65)).convert("RGB")))
        assert read.shape == (65, 95, 3)


def test_between_levels_the_sharper_one_is_resized(sharp_slide: Path) -> None:
    with Slide(sharp_slide) as slide, openslide.OpenSlide(sharp_slide) as reference:
        read = slide.read(400, 300, (256, 192), (128, 96))
        region = reference.read_region((400, 300), 0, (256, 192)).convert("RGB")
        nearly = slide.read(400, 300, (270, 180), (90, 60))  # three times: the level at four would be too blurred
        near_region = reference.read_region((400, 300), 0, (270, 180)).convert("RGB")
    assert np.array_equal(read, np.asarray(region.resize((128, 96), Image.Resampling.BICUBIC)))
    assert np.abs(read.astype(int) - np.asarray(region.reduce(2))).mean() < 3
    assert np.array_equal(nearly, np.asarray(near_region.resize((90, 60), Image.Resampling.BICUBIC)))


def test_beyond_the_border_is_white(slides_folder: Path) -> None:
    with Slide(slides_folder / "a.svs") as slide:
        read = slide.read(1400, 990, (32, 32), (32, 32))
    assert (read[13:] == 255).all()
    assert (read[:, 11:] == 255).all()
    assert not (read[:13, :11] == 255).all()


@pytest.mark.parametrize("block", [64, 4096])
def test_thumbnail_is_whole_however_it_is_read(
    slides_folder: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("pathplugins.data_tools.slides.slide.BLOCK_PX", block)
    with Slide(slides_folder / "b.svs") as slide, openslide.OpenSlide(slides_folder / "b.svs") as reference:
        thumbnail = slide.thumbnail((150, 188))
        wanted = np.asarray(reference.read_region((0, 0), 0, (1203, 1509)).convert("RGB").resize((150, 188)))
    assert thumbnail.shape == (188, 150, 3)
    assert np.abs(thumbnail.astype(int) - wanted).mean() < 6


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_plain_images_are_slides_of_one_level(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (97, 161, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"i.{suffix}")
    with Slide(tmp_path / f"i.{suffix}") as slide:
        assert slide.size_px0 == (161, 97)
        assert slide.downsamples == (1.0,)
        read = slide.read(10, 20, (33, 17), (33, 17))
    if suffix != "jpg":
        assert np.array_equal(read, pixels[20:37, 10:43])


def test_transparency_is_background(tmp_path: Path) -> None:
    Image.new("RGBA", (50, 40), (200, 0, 0, 0)).save(tmp_path / "clear.png")
    with Slide(tmp_path / "clear.png") as slide:
        assert (slide.read(0, 0, (50, 40), (50, 40)) == 255).all()


def test_what_is_no_slide_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.svs").write_bytes(b"II*\0" + bytes(50))
    for name in ("broken.svs", "absent.svs"):
        with pytest.raises(SlideError, match=name):
            Slide(tmp_path / name)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("LA", "png"), ("P", "png"), ("1", "png"), ("CMYK", "tif"), ("RGBA", "tif")]
)
def test_colours_of_plain_images(tmp_path: Path, mode: str, suffix: str) -> None:
    pixels = np.zeros((43, 61, 3), np.uint8)
    pixels[10:, 20:] = 255
    Image.fromarray(pixels).convert(mode).save(tmp_path / f"i.{suffix}")
    with Slide(tmp_path / f"i.{suffix}") as slide:
        assert (slide.reader, slide.reader_note) == ("openslide", "a plain image is decoded whole")
        read = slide.read(5, 5, (56, 38), (56, 38))
    assert np.abs(read.astype(int) - pixels[5:, 5:]).max() <= 1


@pytest.mark.parametrize(("dtype", "suffix"), [(np.uint16, "png"), (np.float32, "tif"), (np.int32, "tif")])
def test_pixels_that_are_not_8_bit_are_refused(tmp_path: Path, dtype: type, suffix: str) -> None:
    Image.fromarray(np.ones((43, 61), dtype)).save(tmp_path / f"deep.{suffix}")
    with pytest.raises(SlideError, match=rf"deep\.{suffix}.*8-bit RGB"):
        Slide(tmp_path / f"deep.{suffix}")


def test_an_image_too_large_to_decode_whole_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (161, 97)).save(tmp_path / "flat.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(SlideError, match=r"flat\.png: too large .*vips tiffsave flat\.png flat\.tif --tile"):
        Slide(tmp_path / "flat.png")


def test_the_reader_can_be_chosen(slides_folder: Path) -> None:
    with Slide(slides_folder / "a.svs") as fast, Slide(slides_folder / "a.svs", reader="openslide") as slow:
        assert (fast.reader, fast.reader_note) == ("tiles", None)
        assert (slow.reader, slow.reader_note) == ("openslide", "asked for")
        for scale in (1, 4):
            box = (301, 177, (190 * scale, 130 * scale), (190, 130))
            assert np.array_equal(fast.read(*box), slow.read(*box))
