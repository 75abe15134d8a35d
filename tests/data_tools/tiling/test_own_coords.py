"""Patches of another tool: taken as they are, and refused where they are of another slide or of no known size."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pictures.overlay import GRID
from pathplugins.data_tools.tiling.coord_files import read_coords
from pathplugins.data_tools.tiling.one_slide import patch_slide
from pathplugins.data_tools.tiling.own_coords import OwnCoords, covered, find_own_coords, load_own_coords
from pathplugins.data_tools.tiling.spec import TilingSpec

pytest.importorskip("openslide")

SIZE = (1537, 1157)  #: of sharp.svs, 0.25 um/px
XY = np.array([[813, 417], [13, 29], [413, 29], [1437, 1057]])  # on no common grid; the last reaches over both edges
TRIDENT = {
    **{"patch_size": 100, "patch_size_level0": 200, "level0_magnification": 40, "target_magnification": 20},
    **{"overlap": 7, "level0_width": SIZE[0], "level0_height": SIZE[1], "name": "sharp"},
}
CLAM = {"patch_size": 64, "patch_level": 1, "downsample": (4.0026, 4.0034), "level_dim": (384, 289), "name": "sharp"}


def file_of(path: Path, xy: np.ndarray = XY, **attributes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["coords"] = xy
        file["coords"].attrs.update(attributes)
    return path


def own(path: Path) -> OwnCoords:
    (found,) = find_own_coords(path.parent, [Path("in") / f"{path.stem.removesuffix('_patches')}.svs"]).values()
    return found


def test_patches_of_trident_are_cut_as_they_are(sharp_slide: Path, tmp_path: Path) -> None:
    coords = own(file_of(tmp_path / "theirs" / "sharp_patches.h5", **TRIDENT))
    outcome = patch_slide(sharp_slide, tmp_path / "out", TilingSpec(coords=coords, save_patches="png"))
    patches = read_coords(tmp_path / "out" / "coords" / "sharp.h5")
    assert (outcome.patches, outcome.notes, outcome.areas) == (4, (), None)
    assert np.array_equal(patches.coords_xy, XY)
    assert (patches.patch_size, patches.patch_size_level0, patches.mpp, patches.overlap) == (100, 200, 0.5, 7)
    assert json.loads(patches.settings)["coords"] == coords.sha256[:12]
    pictures = sorted((tmp_path / "out" / "patches").rglob("*.png"))
    assert [Image.open(picture).size for picture in pictures] == [(100, 100)] * 4
    overlay = np.asarray(Image.open(tmp_path / "out" / "overlays" / "sharp.png"))
    assert (overlay[417, 813:1013] == GRID).all()
    assert json.loads((tmp_path / "out" / "geojson" / "sharp.geojson").read_text())["features"]
    assert patch_slide(sharp_slide, tmp_path / "out", TilingSpec(coords=coords)).status == "skipped"
    with pytest.raises(PathPluginsError, match="coords not set"):
        patch_slide(sharp_slide, tmp_path / "out", TilingSpec())
    changed = own(file_of(tmp_path / "theirs" / "sharp_patches.h5", XY[:2], **TRIDENT))
    with pytest.raises(PathPluginsError, match="pass --overwrite"):
        patch_slide(sharp_slide, tmp_path / "out", TilingSpec(coords=changed))


def test_patches_of_another_resolution_than_the_slides_are_a_note(sharp_slide: Path, tmp_path: Path) -> None:
    coords = own(file_of(tmp_path / "theirs" / "sharp.h5", **TRIDENT))  # 20x: of 0.5 um/px, if the slide is of 40x
    said = patch_slide(sharp_slide, tmp_path / "out", TilingSpec(coords=coords, override_mpp=0.5)).notes
    assert "cut for 0.5 um/px and are 1 um/px by the slide's resolution" in said[-1]
    for override_mpp, noted in ((0.27, 1), (0.25, 0)):  # what our own files record is stated, not rounded
        ours = own(tmp_path / "out" / "coords" / "sharp.h5")
        given = load_own_coords(ours, SIZE)
        assert len(given.contradiction(given.patch_size_px0 * override_mpp * 2 / given.patch_size)) == noted
    nominal = load_own_coords(coords, SIZE)
    assert (nominal.contradiction(0.46), nominal.contradiction(0.55)) == ((), ())  # scanners differ


def test_clam_records_a_level_and_repeats_positions(tmp_path: Path) -> None:
    given = load_own_coords(own(file_of(tmp_path / "sharp.h5", np.concatenate([XY, XY[1:2]]), **CLAM)), SIZE)
    assert (given.patch_size, given.patch_size_px0, given.overlap) == (64, 256, None)
    assert np.array_equal(given.coords_xy, XY)
    assert given.notes == ("1 of 5 patches in sharp.h5 are there twice: dropped",)


def test_settings_without_a_file_are_as_before() -> None:
    assert "coords" not in json.loads(TilingSpec().settings())


@pytest.mark.parametrize(
    ("xy", "attributes", "said"),
    [
        (XY, {**TRIDENT, "level0_width": 1538}, r"is of a slide of 1538 x 1157 pixels, but .* has 1537 x 1157"),
        (XY, {**CLAM, "level_dim": (400, 289)}, r"is of a slide of 1601 x 1157 pixels"),
        (
            XY + np.array([0, 100]),
            {"patch_size": 100, "patch_size_level0": 200},
            r"row 3 is at x, y = \[1437, 1157\], outside the slide of 1537 x 1157",
        ),
        (XY, {}, r"does not record how large its patches are"),
        (XY, {**TRIDENT, "patch_size": 256, "target_magnification": 51}, r"sharper than the slide"),
    ],
    ids=["width", "level", "outside", "no size", "too sharp"],
)
def test_what_does_not_fit_is_refused(xy: np.ndarray, attributes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match=said):
        load_own_coords(own(file_of(tmp_path / "sharp.h5", xy, **attributes)), SIZE)


def test_a_slide_without_its_file_is_named(tmp_path: Path) -> None:
    coords = own(file_of(tmp_path / "a_patches.h5", **TRIDENT))
    with pytest.raises(PathPluginsError, match=r"no patch file of 1 of 2 slides:\n.*b\nlooked for b.h5"):
        find_own_coords(tmp_path, [Path("a.svs"), Path("b.svs")])
    with pytest.raises(PathPluginsError, match="changed while"):
        load_own_coords(dataclasses.replace(coords, sha256="0"), SIZE)


def test_the_area_that_patches_cover() -> None:
    mask = covered(np.array([[20, 40], [80, 10]]), 20, (100, 60), (6, 10))
    assert np.argwhere(mask).tolist() == [[1, 8], [1, 9], [2, 8], [2, 9], [4, 2], [4, 3], [5, 2], [5, 3]]
