"""The crop of one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_patches import blotches
from PIL import Image
from torchvision.transforms import functional

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pictures.crop import Crop, is_mask, write_crop

CROP = Crop(size=56, from_mpp=0.39, to_mpp=0.5)


def test_the_published_crop_is_287_pixels() -> None:
    assert Crop(size=224, from_mpp=0.39, to_mpp=0.5).cut_px == 287
    assert Crop(size=224, from_mpp=0.5, to_mpp=0.5).cut_px == 224
    assert CROP.cut_px == 72


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".jpg"])
def test_the_middle_is_scaled_as_torchvision_does(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"a.b{suffix}", tmp_path / "deep" / f"a.b{suffix}"
    Image.fromarray(blotches((121, 94), 0)).save(source)
    before = source.read_bytes()
    write_crop(source, target, CROP)
    middle = functional.center_crop(Image.open(source), [72, 72])
    wanted = np.asarray(middle.resize((56, 56), Image.Resampling.BICUBIC)).astype(int)
    got = np.asarray(Image.open(target))
    assert got.shape == (56, 56, 3)
    off = np.abs(got - wanted)
    assert off.max() == 0 if suffix != ".jpg" else 0 < off.mean() < 3
    assert source.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_a_mask_keeps_its_values_and_mode(tmp_path: Path, mode: str) -> None:
    ids = np.random.default_rng(0).integers(0, 6, (94, 121), dtype=np.uint8)
    mask = Image.fromarray(np.stack([ids, ids * 0, ids * 0], -1)) if mode == "RGB" else Image.fromarray(ids)
    if mode == "P":
        mask.putpalette(list(range(18)))
    mask.save(tmp_path / "x_MASK.png")
    write_crop(tmp_path / "x_MASK.png", tmp_path / "out.png", CROP)
    got = Image.open(tmp_path / "out.png")
    assert got.mode == mode
    got_ids = np.asarray(got)[..., 0] if mode == "RGB" else np.asarray(got)
    middles = ((np.arange(56) + 0.5) * 72 / 56).astype(int)
    assert np.array_equal(got_ids, ids[11 + middles[:, None], round(49 / 2) + middles])


def test_a_mask_is_known_by_its_name() -> None:
    assert is_mask(Path("a/x_mask.png"))
    assert is_mask(Path("a/x.1_Mask.PNG"))
    assert not is_mask(Path("a_mask/x.png"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 0}, "--size must be above 0, got 0"),
        ({"from_mpp": float("nan")}, "--from-mpp must be above 0"),
        ({"to_mpp": 0.25}, r"--to-mpp 0\.25 is sharper than --from-mpp 0\.39, .*: give --to-mpp 0\.39 or more"),
        ({"jpeg_quality": 101}, "--jpeg-quality must be in 1 to 100, got 101"),
    ],
)
def test_wrong_values_are_named(options: dict[str, float], said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        Crop(**{"size": 224, "from_mpp": 0.39, "to_mpp": 0.5, **options})
