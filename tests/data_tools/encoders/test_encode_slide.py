import threading
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import inspect_bag, read_bag
from pathplugins.data_tools.encoders.encode_slide import FeatureOptions, encode_slide
from pathplugins.data_tools.tiling.coord_files import read_coords
from pathplugins.data_tools.tiling.one_slide import patch_slide
from pathplugins.data_tools.tiling.spec import TilingSpec

openslide = pytest.importorskip("openslide")


class Means:
    """An encoder one can check by hand: the mean colour of the patch, and its top-left pixel."""

    label = "means"
    provenance = {"weights": "none"}  # noqa: RUF012

    def __init__(self, broken_at: int | None = None) -> None:
        self.calls, self.broken_at = 0, broken_at

    def prepare(self, patch: np.ndarray) -> np.ndarray:
        return patch

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.calls += 1
        if self.calls == self.broken_at:
            raise RuntimeError("out of memory")
        return np.concatenate([batch.mean(axis=(1, 2)), batch[:, 0, 0]], axis=1).astype(np.float32)  # [B, 6]

    def describe(self) -> dict[str, str]:
        return {"encoder": self.label}


@pytest.fixture
def coords(slides_folder: Path, tmp_path: Path) -> Path:
    patch_slide(slides_folder / "a.svs", tmp_path, TilingSpec(patch_size=96))
    return tmp_path / "coords" / "a.h5"


@pytest.mark.parametrize(("batch_size", "readers"), [(7, 1), (16, 3), (500, 4)])
def test_rows_are_the_patches_in_order(coords: Path, tmp_path: Path, batch_size: int, readers: int) -> None:
    options = FeatureOptions(batch_size=batch_size, readers=readers, dtype="float32")
    seen: list[tuple[int, int]] = []
    encode_slide(coords, tmp_path / "bags", Means(), options, on_batch=lambda *counts: seen.append(counts))
    patches = read_coords(coords)
    n = len(patches.coords_xy)
    assert seen == [(min(n, start + batch_size), n) for start in range(0, n, batch_size)]
    with h5py.File(tmp_path / "bags" / "a.h5") as file, openslide.OpenSlide(patches.slide) as slide:
        features, coords_yx = file["features"][:], file["coords_yx"][:]
        for (x, y), row in zip(patches.coords_xy.tolist(), features, strict=True):
            pixels = np.asarray(slide.read_region((x, y), 0, (96, 96)).convert("RGB"))
            np.testing.assert_allclose(row, [*pixels.mean(axis=(0, 1)), *pixels[0, 0]], rtol=1e-5)
    assert np.array_equal(coords_yx, patches.coords_xy[:, ::-1])


def test_features_are_of_the_target_resolution(sharp_slide: Path, tmp_path: Path) -> None:
    patch_slide(sharp_slide, tmp_path, TilingSpec(patch_size=100))
    shapes = set()

    class Watching(Means):
        def prepare(self, patch: np.ndarray) -> np.ndarray:
            shapes.add(patch.shape)
            return patch

    encode_slide(tmp_path / "coords" / "sharp.h5", tmp_path / "bags", Watching(), FeatureOptions())
    assert shapes == {(100, 100, 3)}
    bag = read_bag(tmp_path / "bags" / "sharp.h5")
    assert (bag.info.mpp, bag.info.level0_mpp, bag.info.patch_size_level0) == (0.5, 0.25, 200)
    assert (bag.coords_xy % 100 == 0).all()  # pixels at 0.5 um/px
    assert bag.coords_xy[:, 0].max() > bag.coords_xy[:, 1].max()  # wider than high


def test_bag_says_what_it_is(coords: Path, tmp_path: Path) -> None:
    encode_slide(coords, tmp_path / "bags", Means(), FeatureOptions())
    info = inspect_bag(tmp_path / "bags" / "a.h5")
    assert (info.slide_id, info.encoder, info.width, info.dtype) == ("a", "means", 6, "float16")
    assert (info.patch_size, info.level0_width, info.level0_height) == (96, 1411, 1003)
    with h5py.File(tmp_path / "bags" / "a.h5") as file:
        assert file.attrs["tiling_fingerprint"] == TilingSpec(patch_size=96).fingerprint()


def test_done_is_skipped_and_other_settings_are_refused(coords: Path, tmp_path: Path) -> None:
    encoder = Means()
    encode_slide(coords, tmp_path / "bags", encoder, FeatureOptions())
    calls = encoder.calls
    assert encode_slide(coords, tmp_path / "bags", encoder, FeatureOptions(batch_size=5)).status == "skipped"
    assert encoder.calls == calls
    with pytest.raises(PathPluginsError, match=r"a\.h5 was made with dtype float16; this run has dtype float32"):
        encode_slide(coords, tmp_path / "bags", encoder, FeatureOptions(dtype="float32"))
    done = encode_slide(coords, tmp_path / "bags", encoder, FeatureOptions(dtype="float32"), overwrite=True)
    assert done.status == "done"
    assert inspect_bag(tmp_path / "bags" / "a.h5").dtype == "float32"


def test_a_bag_of_other_positions_is_not_taken_for_done(coords: Path, tmp_path: Path) -> None:
    encode_slide(coords, tmp_path / "bags", Means(), FeatureOptions())
    with h5py.File(coords, "r+") as file:
        file["coords"][0] = (0, 0)
    with pytest.raises(PathPluginsError, match="was made with positions"):
        encode_slide(coords, tmp_path / "bags", Means(), FeatureOptions())


def test_a_failure_leaves_neither_bag_nor_threads(coords: Path, tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="out of memory"):
        encode_slide(coords, tmp_path / "bags", Means(broken_at=2), FeatureOptions(batch_size=4))
    assert list((tmp_path / "bags").iterdir()) == []
    assert threading.active_count() == before


def test_moved_and_exchanged_slides(coords: Path, slides_folder: Path, tmp_path: Path) -> None:
    with h5py.File(coords, "r+") as file:
        file["coords"].attrs["slide"] = "gone/a.svs"
    with pytest.raises(PathPluginsError, match="pass --slides FOLDER"):
        encode_slide(coords, tmp_path / "bags", Means(), FeatureOptions())
    with pytest.raises(PathPluginsError, match=r"0 files called a\.svs"):
        encode_slide(coords, tmp_path / "bags", Means(), FeatureOptions(slides_folder=tmp_path))
    encode_slide(coords, tmp_path / "bags", Means(), FeatureOptions(slides_folder=slides_folder))
    with h5py.File(coords, "r+") as file:
        file["coords"].attrs["slide"] = str(slides_folder / "b.svs")
    with pytest.raises(PathPluginsError, match=r"b\.svs as it was then"):
        encode_slide(coords, tmp_path / "bags", Means(), FeatureOptions(), overwrite=True)
    with h5py.File(coords, "r+") as file:
        del file["coords"].attrs["slide_content"]  # a file of an earlier version
    with pytest.raises(PathPluginsError, match=r"is \(1203, 1509\) pixels"):
        encode_slide(coords, tmp_path / "bags", Means(), FeatureOptions(), overwrite=True)


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"readers": 0}, {"dtype": "int8"}])
def test_options_judge_themselves(wrong: dict) -> None:
    option: Callable[[], FeatureOptions] = lambda: FeatureOptions(**wrong)  # noqa: E731
    with pytest.raises(PathPluginsError, match="--" + next(iter(wrong)).replace("_", "-")):
        option()
