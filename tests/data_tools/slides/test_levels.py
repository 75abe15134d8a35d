"""Levels that are no scaled copies of level 0: padded to whole tiles, stretched, or another picture."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.slides import levels
from pathplugins.data_tools.slides.slide import Slide
from pathplugins.data_tools.tiling.one_slide import patch_slide
from pathplugins.data_tools.tiling.spec import TilingSpec

pytest.importorskip("openslide")
tifffile = pytest.importorskip("tifffile")

SIZE, TILE = (1312, 928), 128
GLASS = 245


def drawn(size: tuple[int, int] = SIZE) -> np.ndarray:
    """A section in the lower right, uint8 [H, W, 3]: blobs, so that a shift shows."""
    w, h = size
    noise = np.random.default_rng(8).normal(size=(h // 16 + 1, w // 16 + 1))
    blobs = np.asarray(Image.fromarray(noise).resize((w, h), Image.Resampling.BICUBIC))
    stain = (np.array([200, 120, 170]) + 40 * blobs[..., None]).clip(0, 255)
    image = np.full((h, w, 3), GLASS, np.uint8)
    image[h // 5 : h - 40, w // 3 : w - 30] = stain[h // 5 : h - 40, w // 3 : w - 30]
    return image


def reduced(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))


def padded(image: np.ndarray, factor: int, value: int = GLASS) -> np.ndarray:
    part = reduced(image, (-(-image.shape[1] // factor), -(-image.shape[0] // factor)))
    return np.pad(part, ((0, -part.shape[0] % TILE), (0, -part.shape[1] % TILE), (0, 0)), constant_values=value)


def saved(path: Path, *pictures: np.ndarray, **options: Any) -> Path:
    """Write a tiled TIFF, the first picture level 0 and the others marked as reduced."""
    settings = {"compression": "jpeg", "compressionargs": {"level": 95}, **options}
    with tifffile.TiffWriter(path) as tiff:
        for number, picture in enumerate(pictures):
            shared = {"tile": (TILE, TILE), "photometric": "rgb", "metadata": None, "subfiletype": int(number > 0)}
            tiff.write(picture, resolution=(20000, 20000), resolutionunit="CENTIMETER", **shared, **settings)
    return path


def difference(slide: Slide, image: np.ndarray, factor: int) -> float:
    """Mean difference of the slide read at a downsample and the picture it was made of, in the tissue's corner."""
    w, h = SIZE
    x, y, side = (w - 512) // 32 * 32, (h - 512) // 32 * 32, 512
    seen = slide.read(x, y, (side, side), (side // factor, side // factor)).astype(int)
    return float(np.abs(seen - reduced(image[y : y + side, x : x + side], seen.shape[1::-1])).mean())


def test_usual_levels_cost_nothing(sharp_slide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "read_on_white", None)  # nothing is read
    with Slide(sharp_slide) as slide:
        assert [level.as_recorded for level in slide.levels] == [True, True, True]
        assert slide.downsamples == slide._handle.level_downsamples
        assert slide.notes == ()


@pytest.mark.parametrize("value", [GLASS, 0])
def test_padded_levels_are_read_by_their_true_downsample(tmp_path: Path, value: int) -> None:
    image = drawn()
    path = saved(tmp_path / "p.tif", image, *(padded(image, factor, value) for factor in (2, 4, 8)))
    for reader in ("auto", "openslide"):
        with Slide(path, reader=reader) as slide:  # type: ignore[arg-type]
            assert slide.downsamples == (1, 2, 4, 8)
            assert [level.size_px for level in slide.levels[1:]] == [(656, 464), (328, 232), (164, 116)]
            assert slide.level_note is not None
            assert slide.level_note.startswith(
                "padded levels, whose downsample is not that of their size: 1 (2, not 1."
            )
            assert slide.reader == ("tiles" if reader == "auto" else "openslide")
            for factor in (2, 4, 8):
                assert difference(slide, image, factor) < 6
            thumbnail = slide.thumbnail((164, 116)).astype(int)
            assert np.abs(thumbnail - reduced(image, (164, 116))).mean() < 4


def test_levels_are_compared_once_as_long_as_the_file_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = drawn()
    path = saved(tmp_path / "p.tif", image, padded(image, 4))
    with Slide(path) as slide:
        first = slide.levels
    with monkeypatch.context() as patched:
        patched.setattr(levels, "read_on_white", None)  # nothing is read
        with Slide(path) as slide:
            assert slide.levels == first
            assert len(first) == 2
    saved(path, image, padded(255 - image, 4))
    with Slide(path) as slide:
        assert len(slide.levels) == 1, "another file of that name is looked at anew"


def test_a_padded_level_is_not_recorded_as_the_level_of_patches(tmp_path: Path) -> None:
    """CLAM would read it by its recorded downsample, elsewhere."""
    image = drawn()
    saved(tmp_path / "p.tif", image, padded(image, 2))
    outcome = patch_slide(tmp_path / "p.tif", tmp_path, TilingSpec(patch_size=64, mpp=1.0))
    assert "padded levels" in outcome.notes[0]
    with h5py.File(tmp_path / "coords" / "p.h5") as file:
        assert "patch_level" not in file["coords"].attrs
        assert file["coords"].attrs["patch_size_level0"] == 128


def test_a_picture_of_the_glass_is_left_out(tmp_path: Path) -> None:
    image = drawn()
    macro = np.full((200, 420, 3), 230, np.uint8)
    macro[20:180, 20:120], macro[60:140, 180:300] = (40, 60, 190), (180, 100, 150)
    path = saved(tmp_path / "p.tif", image, reduced(image, (656, 464)), macro, reduced(image, (82, 58)))
    with Slide(path) as slide:
        assert [level.number for level in slide.levels] == [0, 1, 3]
        assert slide.downsamples == (1, 2, 16)
        assert slide.level_note == "levels left out, which are no scaled copies of level 0: 2 (420 x 200)"
        assert difference(slide, image, 4) < 6  # from level 1


def test_other_factors_and_stretched_levels_are_told_by_their_pixels(tmp_path: Path) -> None:
    image = drawn()
    path = saved(tmp_path / "p.tif", image, reduced(image, (437, 309)), reduced(image, (131, 97)))  # a 3rd; 10.02, 9.57
    with Slide(path) as slide:
        assert slide.levels[1].scale_xy == (slide.levels[1].recorded,) * 2
        assert slide.levels[2].scale_xy == (1312 / 131, 928 / 97)
        assert slide.level_note is None
        assert difference(slide, image, 16) < 6


def test_what_cannot_be_compared_is_left_out(tmp_path: Path) -> None:
    blank = np.full((SIZE[1], SIZE[0], 3), GLASS, np.uint8)
    with Slide(saved(tmp_path / "p.tif", blank, padded(blank, 2), reduced(blank, (328, 232)))) as slide:
        assert slide.downsamples == (1, 4)
