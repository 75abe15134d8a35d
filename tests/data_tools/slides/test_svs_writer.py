import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.slides.svs_writer import JPEG_QUALITY, TILE_PX, write_svs

openslide = pytest.importorskip("openslide")


def gradient(size: tuple[int, int]) -> np.ndarray:
    """A picture where every place has its own colour, so that a swapped axis or a moved tile shows."""
    w, h = size
    y, x = np.mgrid[0:h, 0:w]
    return np.stack([x * 255 // w, y * 255 // h, (x + y) * 255 // (w + h)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("size", [(700, 300), (257, 1030)], ids=str)
def test_openslide_reads_back_every_level(tmp_path: Path, size: tuple[int, int]) -> None:
    levels = [gradient(size), gradient((size[0] // 4, size[1] // 4))]
    write_svs(tmp_path / "s.svs", levels, mpp=0.33, magnification=30)
    with openslide.OpenSlide(tmp_path / "s.svs") as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert (slide.properties["aperio.AppMag"], slide.properties["aperio.MPP"]) == ("30", "0.33")
        assert slide.level_dimensions == (size, (size[0] // 4, size[1] // 4))
        for number, level in enumerate(levels):
            h, w = level.shape[:2]
            read = np.asarray(slide.read_region((0, 0), number, (w, h)))
            assert (read[..., 3] == 255).all()
            assert np.abs(read[..., :3].astype(int) - level).mean() < 1.5  # JPEG


def test_tiles_are_the_jpegs_that_were_encoded(tmp_path: Path) -> None:
    level = gradient((600, 520))
    write_svs(tmp_path / "s.svs", [level], mpp=0.5, magnification=20)
    buffer = io.BytesIO()
    Image.fromarray(level[256:512, 256:512]).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4")
    wanted = np.asarray(Image.open(buffer)).astype(int)
    with openslide.OpenSlide(tmp_path / "s.svs") as slide:
        read = np.asarray(slide.read_region((256, 256), 0, (TILE_PX, TILE_PX)).convert("RGB")).astype(int)
    assert np.abs(read - wanted).max() <= 1  # two decoders may round differently


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError)):
        write_svs(tmp_path / "s.svs", [gradient((300, 260)), np.zeros((4, 4, 7, 1))], mpp=0.5, magnification=20)
    assert list(tmp_path.iterdir()) == []
