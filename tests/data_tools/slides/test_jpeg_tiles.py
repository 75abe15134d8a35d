import struct
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.slides.demo import KINDS, paint
from pathplugins.data_tools.slides.jpeg_frame import TileDecoder
from pathplugins.data_tools.slides.slide import Slide, SlideError
from pathplugins.data_tools.slides.svs_writer import write_svs

openslide = pytest.importorskip("openslide")
tifffile = pytest.importorskip("tifffile")
imagecodecs = pytest.importorskip("imagecodecs")

APERIO = "Aperio Image Library v12|AppMag = 20|MPP = 0.5"
OFFSETS, COUNTS = 324, 325  #: TIFF tags


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Uint8 [771, 1030, 3]: five by four tiles of 256, the last ones cut."""
    return paint((1030, 771), seed=3, kind=KINDS[1], mpp=0.5)


@pytest.fixture(scope="module")
def whole(picture: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own writer: levels 1 and 2, the second exactly half as large."""
    path = tmp_path_factory.mktemp("whole") / "s.svs"
    write_svs(path, [picture[:768, :1024], picture[:768:2, :1024:2]], mpp=0.5, magnification=20)
    return path


def write_tiff(path: Path, picture: np.ndarray, *, description: str | None = None, **write: Any) -> Path:
    """A pyramid of two levels by tifffile, an odd number of pixels each."""
    tiff = {key: write.pop(key) for key in ("bigtiff", "byteorder") if key in write}
    options = {"tile": (256, 256), "metadata": None, "description": description, **write}
    with tifffile.TiffWriter(path, **tiff) as file:
        file.write(picture, **options)
        half = picture[:, ::2, ::2] if len(picture) == 3 else picture[::2, ::2]
        file.write(np.ascontiguousarray(half), subfiletype=1, **options)
    return path


def assert_same_pixels(path: Path, *, reader: str = "tiles") -> None:
    """What `Slide` reads is what OpenSlide reads: anywhere, at any scale, in part outside."""
    rng = np.random.default_rng(0)
    with Slide(path) as slide, Slide(path, reader="openslide") as plain, openslide.OpenSlide(path) as reference:
        assert slide.reader == reader, slide.reader_note
        assert (slide.reader_note is None) == (reader == "tiles")
        assert (plain.reader, plain.reader_note) == ("openslide", "asked for")
        region = reference.read_region((0, 0), 0, slide.size_px0)
        wanted = np.asarray(Image.alpha_composite(Image.new("RGBA", region.size, "white"), region).convert("RGB"))
        assert np.array_equal(slide.read(0, 0, slide.size_px0, slide.size_px0), wanted)
        for _ in range(10):
            x, y, w, h = (int(n) for n in rng.integers((-30, -30, 1, 1), (*slide.size_px0, 300, 300)))
            for scale in (1, 2, 3):
                read = slide.read(x, y, (w * scale, h * scale), (w, h))
                assert np.array_equal(read, plain.read(x, y, (w * scale, h * scale), (w, h))), (x, y, w, h, scale)
                assert read.shape == (h, w, 3)


@pytest.mark.parametrize("description", [None, APERIO], ids=["generic", "aperio"])
@pytest.mark.parametrize(
    "colours",
    [
        {"photometric": "ycbcr", "subsampling": (1, 1)},
        {"photometric": "ycbcr", "subsampling": (2, 1)},
        {"photometric": "ycbcr", "subsampling": (2, 2)},
        {"photometric": "rgb"},
        {"photometric": "ycbcr", "subsampling": (2, 2), "bigtiff": True, "tile": (336, 128)},
        {"photometric": "rgb", "bigtiff": True, "byteorder": ">"},
    ],
    ids=["444", "422", "420", "rgb", "big", "big-endian"],
)
def test_jpeg_tiffs_read_as_openslide_reads_them(
    tmp_path: Path, picture: np.ndarray, colours: dict[str, Any], description: str | None
) -> None:
    path = tmp_path / "s.tif"
    write_tiff(path, picture, description=description, compression="jpeg", compressionargs={"level": 80}, **colours)
    assert_same_pixels(path)


def test_own_slides_read_as_openslide_reads_them(slides_folder: Path, whole: Path) -> None:
    assert_same_pixels(slides_folder / "a.svs")  # levels 1 and 4.01: mostly between pixels
    assert_same_pixels(whole)


def test_a_real_slide_reads_as_openslide_reads_it(real_slide: Path) -> None:
    assert_same_pixels(real_slide)


@pytest.mark.parametrize(
    ("write", "why"),
    [
        ({"photometric": "rgb", "compression": "lzw"}, "LZW, not JPEG"),
        ({"photometric": "rgb"}, "NONE, not JPEG"),
        ({"photometric": "minisblack", "compression": "jpeg"}, "MINISBLACK"),
        ({"photometric": "rgb", "compression": "jpeg", "planarconfig": "separate"}, "separate planes"),
        ({"photometric": "rgb", "compression": "aperio_jp2000_rgb", "description": APERIO}, "JP2000_RGB, not JPEG"),
    ],
)
def test_other_tiffs_are_left_to_openslide(
    tmp_path: Path, picture: np.ndarray, write: dict[str, Any], why: str
) -> None:
    pixels = picture if write["photometric"] == "rgb" else np.ascontiguousarray(picture[..., 0])
    if "planarconfig" in write:
        pixels = np.ascontiguousarray(picture.transpose(2, 0, 1))  # [3, H, W]
    path = write_tiff(tmp_path / "s.tif", pixels, **write)
    assert_same_pixels(path, reader="openslide")
    with Slide(path) as slide:
        assert why in (slide.reader_note or "")


def test_plain_images_and_missing_packages_are_said(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imagecodecs_free = {**sys.modules, "imagecodecs": None}
    monkeypatch.setattr(sys, "modules", imagecodecs_free)
    with Slide(whole) as slide:
        assert slide.reader == "openslide"
        assert "imagecodecs" in (slide.reader_note or "")
        assert slide.read(0, 0, (64, 64), (64, 64)).mean() < 255


def test_whole_offsets_of_lower_levels_need_no_openslide(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Slide(whole) as slide, openslide.OpenSlide(whole) as reference:
        wanted = np.asarray(reference.read_region((128, 64), 1, (300, 200)).convert("RGB"))
        monkeypatch.setattr("pathplugins.data_tools.slides.slide.read_on_white", None)
        assert np.array_equal(slide.read(128, 64, (600, 400), (300, 200)), wanted)
        with pytest.raises(SlideError, match="TypeError"):  # between pixels of the level
            slide.read(129, 64, (600, 400), (300, 200))


def changed(whole: Path, path: Path, change: Callable[[bytearray, Any], object]) -> Path:
    """A copy with something done to its bytes, told the directory of the first level."""
    data = bytearray(whole.read_bytes())
    with tifffile.TiffFile(whole) as tiff:
        change(data, tiff.pages)
    path.write_bytes(data)
    return path


def zeros(data: bytearray, pages: Any, *, tile: int, start: float, spare: int) -> None:
    """Overwrite a tile of the first level from a fraction of it to some bytes before its end."""
    offset, count = pages[0].dataoffsets[tile], pages[0].databytecounts[tile]
    first, last = offset + int(start * count), offset + count - spare
    data[first:last] = bytes(last - first)


DAMAGES: dict[str, Callable[[bytearray, Any], object]] = {
    "nothing there": lambda data, pages: zeros(data, pages, tile=5, start=0, spare=0),
    "half of it": lambda data, pages: zeros(data, pages, tile=5, start=0.5, spare=0),
    "half, but for its end": lambda data, pages: zeros(data, pages, tile=5, start=0.5, spare=2),
    "count too small": lambda data, pages: struct.pack_into("<I", data, pages[0].tags[COUNTS].valueoffset + 4 * 5, 700),
    "beyond the file": lambda data, pages: struct.pack_into(
        "<I", data, pages[0].tags[OFFSETS].valueoffset + 4 * 5, len(data) - 9
    ),
}


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_a_damaged_tile_is_an_error_that_names_it(tmp_path: Path, whole: Path, damage: str) -> None:
    path = changed(whole, tmp_path / "hurt.svs", DAMAGES[damage])
    with Slide(path) as slide, Slide(whole) as sound:
        assert slide.reader == "tiles"
        for _ in range(2):
            with pytest.raises(SlideError, match=r"hurt\.svs.*tile 1, 1 of level 0 .*OpenSlide: "):
                slide.read(200, 200, (100, 100), (100, 100))
        beside = slide.read(512, 0, (256, 256), (256, 256))
        assert np.array_equal(beside, sound.read(512, 0, (256, 256), (256, 256)))


def test_tiles_that_only_look_damaged_are_read(tmp_path: Path) -> None:
    grey = np.full((512, 512, 3), 128, np.uint8)
    grey[:200] = (200, 90, 160)
    write_svs(tmp_path / "grey.svs", [grey], mpp=0.5, magnification=20)
    assert_same_pixels(tmp_path / "grey.svs")


@pytest.mark.parametrize("description", [None, APERIO], ids=["generic", "aperio"])
@pytest.mark.parametrize("level", [0, 1])
def test_tiles_left_out_are_what_openslide_makes_of_them(
    tmp_path: Path, picture: np.ndarray, description: str | None, level: int
) -> None:
    path = write_tiff(
        tmp_path / "full.tif", picture[:768, :1024], description=description, photometric="rgb", compression="jpeg"
    )

    def leave_out(data: bytearray, pages: Any) -> None:
        struct.pack_into("<I", data, pages[level].tags[COUNTS].valueoffset + 4, 0)

    gaps = changed(path, tmp_path / "gaps.tif", leave_out)
    assert_same_pixels(gaps)
    with Slide(gaps) as slide:
        box = (256, 0, (256, 256), (256, 256)) if level == 0 else (512, 0, (512, 512), (256, 256))
        seen = slide.read(*box)
    assert (seen == 255).all() == (level == 0 or description is None)  # Aperio: filled from the sharper level


def test_each_tile_is_decoded_once_by_all_threads(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []
    decode = TileDecoder.decode

    def counted(decoder: TileDecoder, data: bytes) -> np.ndarray | str:
        decoded.append(data)
        return decode(decoder, data)

    monkeypatch.setattr(TileDecoder, "decode", counted)
    boxes = [(x, y) for y in range(0, 700, 60) for x in range(0, 960, 60)]
    with Slide(whole) as slide, Slide(whole, reader="openslide") as plain, ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda xy: slide.read(*xy, (64, 64), (64, 64)), boxes))
        wanted = [plain.read(*xy, (64, 64), (64, 64)) for xy in boxes]
    assert all(np.array_equal(one, other) for one, other in zip(read, wanted, strict=True))
    assert len(decoded) == len(set(decoded)) == 12


def test_what_is_read_is_the_callers_own(whole: Path) -> None:
    with Slide(whole) as slide:
        first = slide.read(0, 0, (256, 256), (256, 256))
        kept = first.copy()
        first[:] = 0
        assert np.array_equal(slide.read(0, 0, (256, 256), (256, 256)), kept)


def test_nothing_is_read_after_closing(whole: Path) -> None:
    slide = Slide(whole)
    slide.close()
    with pytest.raises(SlideError, match=r"descriptor.*s\.svs"):
        slide.read(0, 0, (64, 64), (64, 64))
