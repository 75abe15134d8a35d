"""Selection: where the patches of a bag lie, and what the selector of a loaded model keeps of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import BagError, PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag

pytest.importorskip("transformers")

ROWS, SIDE = 37, 512  # level-0 pixels: a 40x slide
COORDS_XY = np.stack([np.arange(ROWS) % 9, np.arange(ROWS) // 9], 1) * SIDE + np.array([1024, 512])


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bag") / "slide.h5"
    side = BagAttributes(
        slide_id="slide",
        encoder="none",
        patch_size=256,
        patch_size_level0=SIDE,
        mpp=0.5,
        level0_mpp=0.25,
        level0_width=7000,
        level0_height=5000,
    )
    write_bag(path, [np.random.default_rng(1).standard_normal((ROWS, 10))], COORDS_XY[:, ::-1].copy(), side)
    return path


def test_a_bag_says_where_its_patches_are(bag: Path, tmp_path: Path) -> None:
    from pathplugins.commands.selection import locate

    silent = tmp_path / "silent.h5"
    shutil.copy(bag, silent)
    with h5py.File(silent, "a") as file:
        for name in ("patch_size_level0", "level0_mpp"):
            del file.attrs[name]
    with pytest.raises(BagError, match=r"silent\.h5 does not record how large its patches are.*patch_size_level0"):
        locate(silent, None)
    with h5py.File(silent, "a") as file:
        file.attrs["level0_mpp"] = 0.25
    assert locate(silent, None)[1:] == (SIDE, 0.25, (0, 0))
    microns = tmp_path / "microns.h5"
    with h5py.File(microns, "w") as file:  # as STAMP writes it
        file["feats"], file["coords"] = np.ones((ROWS, 9), np.float16), COORDS_XY * 0.25
        file.attrs.update({"unit": "um", "tile_size_um": 128.0, "tile_size_px": 256})
    with pytest.raises(BagError, match=r"microns\.h5 stores microns.*--slide"):
        locate(microns, None)
    pytest.importorskip("openslide")
    from PIL import Image

    Image.new("RGB", (300, 200)).save(tmp_path / "slide.png", dpi=(101_600, 101_600))  # 0.25 um
    found = locate(microns, tmp_path / "slide.png")
    assert (found.coords_xy == COORDS_XY).all()
    assert found.size_px0 == SIDE


def test_models_of_images_are_refused() -> None:
    from pathplugins.commands.selection import require_bags

    class Tiles:
        image_processor = object()

    with pytest.raises(PathPluginsError, match="reads images; patches are selected from feature bags"):
        require_bags(Tiles(), "directory")


def test_the_reader_of_the_model_is_left_as_it_was(vlm: Path, bag: Path) -> None:
    """A notebook asks the model a question next, about as many patches as it was trained with."""
    from pathplugins.commands.loading import load_model
    from pathplugins.commands.selection import choose

    model = load_model(vlm, device="cpu")
    usual = model.processor.image_processor.patches_per_wsi
    chosen = choose(model, bag)
    assert (len(chosen.rows), int(chosen.kept.sum())) == (ROWS, 6)
    assert model.processor.image_processor.patches_per_wsi == usual != ROWS


def test_what_cannot_be_drawn_is_refused_before_the_selector_runs(vlm: Path, bag: Path, tmp_path: Path) -> None:
    from pathplugins.commands.loading import load_model
    from pathplugins.commands.selection import draw_selection

    model = load_model(vlm, device="cpu")
    with pytest.raises(PathPluginsError, match=r"--out .*picture\.jpg: the picture is a PNG"):
        draw_selection(model, bag, tmp_path / "picture.jpg")
    with pytest.raises(PathPluginsError, match="--patches is 0, expected 1 or more"):
        draw_selection(model, bag, tmp_path / "picture.png", patches=0)
    (tmp_path / "case.svs").write_bytes(b"II*")
    with pytest.raises(PathPluginsError, match=r"case\.svs is a slide; .* reads feature bags"):
        draw_selection(model, tmp_path / "case.svs", tmp_path / "picture.png")
