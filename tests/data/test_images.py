"""Image files, whole and broken, small and too large: what is wrong is said, what is right comes as RGB (A6, A13)."""

from __future__ import annotations

import binascii
import io
import struct
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from pathplugins.data.images import MAX_PIXELS, BadImage, check_image, image_size, open_image, to_rgb

SIZE = (53, 37)
READERS = [image_size, check_image, open_image]


def noise(size: tuple[int, int] = SIZE) -> Image.Image:
    w, h = size
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (h, w, 3), np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_header(w: int, h: int) -> bytes:
    """A PNG that says it is w x h and holds no pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", binascii.crc32(name + data))
        for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def second_page_without_a_width() -> bytes:
    pages = encoded(noise(), "TIFF", save_all=True, append_images=[noise()])
    width = struct.pack("<HHII", 256, 4, 1, SIZE[0])
    before, _, after = pages.rpartition(width)
    return before + b"\xff\xff" + width[2:] + after


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting."""
    monkeypatch.setattr("pathplugins.data.images._RETRY_WAITS_S", (0.0, 0.0))


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "good.png"
    noise().save(path)
    assert image_size(path) == check_image(path) == check_image(str(path), decode=False) == SIZE
    image = open_image(path)
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), np.asarray(noise()))
    path.unlink()
    image.getpixel((52, 36))  # nothing is left to be read


def test_the_size_is_read_without_the_pixels(tmp_path: Path, at_once: None) -> None:
    """A6: from the header alone, however much follows it."""
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded(noise((640, 480)), "JPEG", quality=95)[:2000])
    assert image_size(path) == check_image(path, decode=False) == (640, 480)
    for read in (check_image, open_image):
        with pytest.raises(
            BadImage, match=r"cut\.jpg cannot be read \(3 tries\): .*truncated.*copy it again"
        ) as caught:
            read(path)
        assert caught.value.reason == "unreadable file"


@pytest.mark.parametrize(
    ("content", "reason", "message"),
    [
        (None, "missing file", "bad: no such file; expected an image there"),
        (b"", "not an image", r"is not an image Pillow knows \(it is empty\)"),
        (b"id,caption\n1,x\n", "not an image", r"it starts with b'id,capti'\); expected PNG, JPEG"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            *("Git-LFS pointer", "is a Git-LFS pointer, not the data itself; fetch it with `git lfs pull`"),
        ),
        (encoded(Image.new("I;16", SIZE, 999), "PNG"), "unsupported pixels", "mode I;16.*8 bits per channel"),
        (encoded(Image.new("F", SIZE, 0.5), "TIFF"), "unsupported pixels", "mode F"),
        (encoded(noise(), "TIFF", save_all=True, append_images=[noise()]), "several frames", r"2 frames .*\(TIFF\)"),
        (
            encoded(noise(), "GIF", save_all=True, append_images=[noise((37, 53))]),
            "several frames",
            r"2 frames .*\(GIF\)",
        ),
        (encoded(noise(), "PNG")[:-300], "unreadable file", r"cannot be read \(3 tries\)"),
        (second_page_without_a_width(), "unreadable file", "Missing dimensions"),
        (png_header(30_000, 30_000), "too many pixels", "more pixels than Pillow accepts"),
        (png_header(4097, 4096), "too many pixels", r"is 4097 x 4096 = 16,781,312 pixels, expected at most 16,777,216"),
    ],
    ids=["missing", "empty", "text", "lfs", "16-bit", "float", "pages", "animation", "cut", "damaged", "bomb", "large"],
)
def test_what_is_wrong_is_said(tmp_path: Path, at_once: None, content: bytes | None, reason: str, message: str) -> None:
    path = tmp_path / "bad"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadImage, match=message) as caught:
        check_image(path)
    assert caught.value.reason == reason
    assert str(path) in str(caught.value)
    if "4097" not in message:  # which training could read
        with pytest.raises(BadImage) as caught:
            open_image(path)
        assert caught.value.reason == reason


def test_a6_the_limit_is_that_of_the_published_preparation(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png_header(4096, 4096))
    assert MAX_PIXELS == 4096 * 4096 == 16_777_216
    assert check_image(path, decode=False) == (4096, 4096)
    path.write_bytes(png_header(8192, 2049))
    with pytest.raises(BadImage, match="at most 16,777,216"):
        check_image(path, decode=False)
    assert check_image(path, decode=False, max_pixels=8192 * 2049) == (8192, 2049)


def test_damage_of_any_kind_is_a_bad_image(tmp_path: Path, at_once: None) -> None:
    rng, path, outcomes = np.random.default_rng(1), tmp_path / "damaged", set()
    for kind in ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP", "PPM"):
        whole = encoded(noise(), kind)
        for number in range(60):
            damaged = bytearray(whole[: rng.integers(1, len(whole))] if number % 2 else whole)
            for place in rng.integers(0, min(len(damaged), 200), 4):
                damaged[place] = rng.integers(256)
            path.write_bytes(damaged)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for read in READERS:
                    try:
                        read(path)
                        outcomes.add("read")
                    except BadImage as error:
                        outcomes.add(error.reason)
    assert outcomes >= {"read", "not an image", "unreadable file"}


def test_a_read_that_fails_is_tried_again(tmp_path: Path) -> None:
    whole, path, late = encoded(noise(), "JPEG"), tmp_path / "late.jpg", tmp_path / "whole"
    path.write_bytes(whole[:-500])
    late.write_bytes(whole)
    timer = threading.Timer(0.03, late.replace, [path])
    timer.start()
    start = time.monotonic()
    assert open_image(path).size == SIZE
    assert time.monotonic() - start > 0.09
    timer.join()
    start = time.monotonic()
    with pytest.raises(BadImage):
        open_image(tmp_path / "never")
    assert time.monotonic() - start < 0.09  # what is not there will not come


def palette_with_transparency() -> Image.Image:
    image = noise().quantize(16)
    image.info["transparency"] = bytes(range(0, 256, 16))
    return image


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: noise().convert("L"), "PNG"),
        (lambda: noise().convert("1"), "PNG"),
        (lambda: noise().convert("LA"), "PNG"),
        (lambda: noise().quantize(16), "PNG"),
        (lambda: noise().quantize(16), "GIF"),
        (palette_with_transparency, "PNG"),
        (lambda: Image.merge("RGBA", (*noise().split(), noise().getchannel(0))), "PNG"),
        (lambda: noise().convert("CMYK"), "JPEG"),
        (lambda: noise().convert("CMYK"), "TIFF"),
        (lambda: noise().convert("YCbCr"), "JPEG"),
        (lambda: noise(), "WEBP"),
    ],
    ids=[
        "L",
        "1",
        "LA",
        "P",
        "P in GIF",
        "P with alpha",
        "RGBA",
        "CMYK in JPEG",
        "CMYK in TIFF",
        "YCbCr",
        "RGB in WEBP",
    ],
)
def test_other_pixels_become_rgb_as_in_the_published_code(
    tmp_path: Path, make: Callable[[], Image.Image], kind: str
) -> None:
    path = tmp_path / "image"
    make().save(path, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = Image.open(path).convert("RGB")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = open_image(path)
        assert check_image(path) == SIZE
    assert got.mode == "RGB"
    assert np.array_equal(np.asarray(got), np.asarray(wanted))


def test_orientation_is_left_as_stored(tmp_path: Path) -> None:
    path, exif = tmp_path / "turned.jpg", Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    noise().save(path, exif=exif)
    assert image_size(path) == open_image(path).size == SIZE


def test_a_photograph_with_its_preview_is_one_image(tmp_path: Path) -> None:
    path = tmp_path / "photograph.jpg"
    path.write_bytes(encoded(noise(), "MPO", save_all=True, append_images=[noise((20, 10))]))
    assert Image.open(path).n_frames == 2
    assert check_image(path) == open_image(path).size == SIZE


def test_images_in_memory() -> None:
    image = noise()
    assert to_rgb(image) is image
    with pytest.raises(BadImage, match="the image has pixels of mode I"):
        to_rgb(Image.new("I", SIZE))
    frames = Image.open(io.BytesIO(encoded(noise(), "GIF", save_all=True, append_images=[noise((37, 53))])))
    with pytest.raises(BadImage, match="holds 2 frames"):
        to_rgb(frames)
    assert to_rgb(next(iter(ImageSequence.Iterator(frames))).copy()).mode == "RGB"


def test_a_name_that_no_file_can_have_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="no such file") as caught:
        open_image(tmp_path / ("x" * 5000))
    assert caught.value.reason == "missing file"
