"""Mask images: levels of a pyramid, labels, photographs, and masks of the scanned part alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.slides.bounds import Bounds
from pathplugins.data_tools.slides.slide import SlideError
from pathplugins.data_tools.tissue import mask_image
from pathplugins.data_tools.tissue.mask_image import MaskPixels, place, read_mask_image

SHAPE = (37, 53)


def read(path: Path, label: int | None = None, shape: tuple[int, int] = SHAPE) -> MaskPixels:
    return read_mask_image(path, path.read_bytes(), label=label, shape=shape)


def png(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def pyramid(path: Path, full: np.ndarray, levels: int, **options: Any) -> Path:
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for level in range(levels):
            pixels = np.ascontiguousarray(full[:: 2**level, :: 2**level])
            tiff.write(pixels, tile=(64, 64), photometric="minisblack", metadata=None, **options)
    return path


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take images of more than 30,000 pixels for large ones."""
    monkeypatch.setattr(mask_image, "PILLOW_PX", 30_000)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("levels", [1, 3])
def test_a_large_mask_is_read_at_a_level_or_in_pieces(tmp_path: Path, levels: int) -> None:
    full = np.zeros((37 * 16 - 3, 53 * 16 - 5), np.uint8)  # odd: levels are rounded
    full[200:401, 96:333] = 1
    full[500:520, 700:790] = 2
    path = pyramid(tmp_path / "m.tif", full, levels, compression="lzw")
    for label, wanted in ((None, full > 0), (2, full == 2)):
        mask, size, _ = read(path, label)
        assert (mask.shape, size) == (SHAPE, full.shape[::-1])
        share = np.asarray(Image.fromarray(wanted.astype(np.float32)).resize(SHAPE[::-1], Image.Resampling.BOX))
        clear = (share < 0.3) | (share > 0.7)
        assert np.array_equal(mask[clear], share[clear] > 0.5)
        assert mask.any()


@pytest.mark.usefixtures("large")
def test_tiles_that_were_never_written_are_background(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    ones = np.ones((64, 64), np.uint8)
    tiles = (ones if number in (0, 9) else None for number in range(6 * 4))
    with tifffile.TiffWriter(tmp_path / "m.tif") as tiff:
        options = {"photometric": "minisblack", "metadata": None, "compression": "deflate"}
        tiff.write(tiles, shape=(256, 384), dtype=np.uint8, tile=(64, 64), **options)
    mask = read(tmp_path / "m.tif", shape=(4, 6)).mask
    assert np.argwhere(mask).tolist() == [[0, 0], [1, 3]]


@pytest.mark.usefixtures("large")
def test_a_page_that_is_no_level_is_not_read(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    full = np.zeros((512, 640), np.uint8)
    full[128:256, 64:320] = 1
    with tifffile.TiffWriter(tmp_path / "m.tif") as tiff:
        for pixels in (full, np.ones((300, 200), np.uint8), full[::4, ::4]):
            tiff.write(np.ascontiguousarray(pixels), photometric="minisblack", metadata=None)
    mask = read(tmp_path / "m.tif", shape=(128, 160)).mask
    assert np.array_equal(mask, full[::4, ::4] > 0)


def test_labels_are_named_and_one_can_be_taken(tmp_path: Path) -> None:
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[5:20, 4:30], pixels[22:30, 4:30] = 1, 7
    path = png(tmp_path / "m.png", pixels)
    mask, _, notes = read(path)
    assert np.array_equal(mask, pixels > 0)
    assert notes == ("m.png: the values 1, 7 are all taken (--mask-class 1 takes one)",)
    assert np.array_equal(read(path, 7).mask, pixels == 7)
    with pytest.raises(SlideError, match="no pixel is 3; it has the values 1, 7"):
        read(path, 3)
    shades = np.tile(np.arange(53, dtype=np.uint8), (37, 1))
    assert read(png(tmp_path / "grey.png", shades)).notes == ()


def test_a_map_of_classes_without_a_zero_is_refused(tmp_path: Path) -> None:
    """Maps of artefacts number their classes from 1, glass included."""
    pixels = np.full(SHAPE, 7, np.uint8)
    pixels[5:20, 4:30] = 1
    path = png(tmp_path / "m.png", pixels)
    with pytest.raises(SlideError, match=r"the values 1, 7 and none is 0.*--mask-class"):
        read(path)
    assert np.array_equal(read(path, 1).mask, pixels == 1)


def test_a_png_that_is_damaged_inside_is_named(tmp_path: Path) -> None:
    path = png(tmp_path / "m.png", np.random.default_rng(0).integers(0, 2, (900, 900), np.uint8) * 255)
    head, *chunks = path.read_bytes().split(b"IDAT")
    assert len(chunks) > 1, "several, so that the damage is met while pixels are read"
    path.write_bytes(head + b"IDAT" + chunks[0] + b"\0\0\0\0" + b"IDAT".join(chunks[1:]))
    with pytest.raises(SlideError, match=r"m\.png: not a readable mask image"):
        read(path)


def test_a_thumbnail_is_no_mask(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(60, 240, (200, 300, 3), np.uint8)
    with pytest.raises(SlideError, match="colours of a photograph"):
        read(png(tmp_path / "m.png", noise))
    classes = np.zeros((200, 300, 3), np.uint8)
    classes[20:90, 30:100], classes[100:150, 30:100] = (200, 0, 0), (0, 90, 250)
    assert read(png(tmp_path / "m.png", classes), shape=(200, 300)).mask.sum() == 120 * 70


def test_a_mask_of_the_scanned_part_is_put_in_its_place() -> None:
    size, scanned, shape = (1000, 600), Bounds(400, 100, 300, 400), (60, 100)
    part = np.ones((40, 30), bool)
    part[:, :15] = False
    wanted = np.zeros(shape, bool)
    wanted[10:50, 55:70] = True

    def placed(mask: np.ndarray, **options: Any) -> np.ndarray:
        read = MaskPixels(mask, mask.shape[::-1], ())
        facts = {"size_px0": size, "scanned": scanned, "frame": None, "shape": shape, **options}
        return place(Path("m.png"), read, **facts)

    assert np.array_equal(placed(part), wanted)
    assert np.array_equal(placed(np.kron(part, np.ones((3, 3), bool))), wanted)
    assert np.array_equal(placed(wanted), wanted)  # of the whole slide
    with pytest.raises(SlideError, match=r"sides are .* to 1, not"):
        placed(part, frame="level0")
    with pytest.raises(SlideError, match=r"sides are .* to 1, not"):
        placed(part, scanned=None)
    like = Bounds(100, 60, 500, 300)
    with pytest.raises(SlideError, match=r"fit the whole slide.*and its scanned part.*--mask-frame"):
        placed(wanted, scanned=like)
    assert np.array_equal(placed(wanted, scanned=like, frame="level0"), wanted)
    half = placed(np.ones((60, 100), bool), scanned=like, frame="qupath")
    assert (half.sum(), half[6:36, 10:60].sum()) == (1500, 1500)
