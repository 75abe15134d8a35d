"""Picture files hold the pixels; tars and folders are complete or absent."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.pictures.files import (
    add_sample,
    encode_jpeg,
    encode_png,
    replacing_folder,
    replacing_tar,
)


@pytest.fixture
def pixels() -> np.ndarray:
    """uint8 ``[97, 161, 3]``: smooth, so that JPEG keeps it nearly."""
    y, x = np.mgrid[0:97, 0:161]
    return np.stack([x, y * 2, (x + y) // 2], axis=-1).astype(np.uint8)


def test_jpeg_is_what_pillow_writes(pixels: np.ndarray) -> None:
    pytest.importorskip("imagecodecs")
    image = Image.open(io.BytesIO(encode_jpeg(pixels, 90)))
    assert (image.format, image.size) == ("JPEG", (161, 97))
    assert np.abs(np.asarray(image).astype(int) - pixels).mean() < 2
    assert len(encode_jpeg(pixels, 30)) < len(encode_jpeg(pixels, 95))


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_png_keeps_every_pixel(pixels: np.ndarray, level: int) -> None:
    pytest.importorskip("imagecodecs")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(pixels, level)))), pixels)


def test_the_same_samples_make_the_same_tar(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        with replacing_tar(tmp_path / name) as tar:
            add_sample(tar, "s_0", {"jpg": b"picture", "json": b"{}"})
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert tar.getnames() == ["s_0.jpg", "s_0.json"]
        assert tar.extractfile("s_0.jpg").read() == b"picture"


def test_nothing_is_left_of_a_tar_or_folder_that_failed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    for opened, name in ((replacing_tar, "x.tar"), (replacing_folder, "folder")):
        with pytest.raises(OSError, match="disk"), opened(tmp_path / name):
            raise OSError("disk")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["old"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with replacing_folder(tmp_path / "folder") as folder:
            (folder / name).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
