"""The scanned part of a slide, and the two frames: ours from the corner of level 0, QuPath's from its corner."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from cropped_slides import write_cropped_slide

from pathplugins.commands.selection import locate
from pathplugins.data_tools.encoders.encode_slide import FeatureOptions, encode_slide
from pathplugins.data_tools.pictures.heat_map import draw_selection
from pathplugins.data_tools.slides.bounds import BAG_ATTRIBUTES, bounds, origin_xy
from pathplugins.data_tools.slides.slide import Slide
from pathplugins.data_tools.tiling.coord_files import read_coords
from pathplugins.data_tools.tiling.one_slide import patch_slide
from pathplugins.data_tools.tiling.spec import TilingSpec
from pathplugins.data_tools.tissue.own_mask import find_masks

CANVAS, CORNER, SIZE = (1500, 1300), (320, 448), (832, 704)


def recorded(*numbers: object) -> dict[str, str]:
    names = ("x", "y", "width", "height")
    return {f"openslide.bounds-{name}": str(value) for name, value in zip(names, numbers, strict=False)}


@pytest.fixture(scope="module")
def cropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide with tissue at 128..512 x 64..448 of its scanned part."""
    pytest.importorskip("openslide")
    pixels = np.full((SIZE[1], SIZE[0], 3), 244, np.uint8)
    stain = np.random.default_rng(4).integers(-30, 30, (384, 384, 1))
    pixels[64:448, 128:512] = (np.array([196, 110, 168]) + stain).astype(np.uint8)
    return write_cropped_slide(tmp_path_factory.mktemp("scn") / "c.scn", pixels, canvas=CANVAS, corner=CORNER)


def test_all_four_numbers_are_needed() -> None:
    assert bounds(recorded(3, 7, 50, 40)) == (3, 7, 50, 40)
    assert origin_xy(recorded(3, 7, 50, 40)) == (3, 7)
    for properties in ({}, recorded(3, 7), recorded(3, 7, "", 40), recorded(-1, 7, 50, 40), recorded(3, 7, 0, 40)):
        assert bounds(properties) is None
        assert origin_xy(properties) == (0, 0)


def test_our_files_count_from_level_0_and_qupaths_from_the_scanned_part(cropped: Path, tmp_path: Path) -> None:
    patch_slide(cropped, tmp_path, TilingSpec(patch_size=64))
    patches = read_coords(tmp_path / "coords" / "c.h5")
    with Slide(cropped) as slide:
        assert (slide.size_px0, bounds(slide.properties)) == (CANVAS, (*CORNER, *SIZE))
        inside = patches.coords_xy[((patches.coords_xy >= (448, 512)) & (patches.coords_xy <= (768, 832))).all(axis=1)]
        assert len(inside) == 36  # of the grid of 64, wholly on tissue
        for x, y in inside.tolist():
            assert np.ptp(slide.read(x, y, (64, 64), (64, 64)), axis=-1).mean() > 40  # stain, not glass
    assert (patches.frame, patches.bounds) == ("level0", (*CORNER, *SIZE))
    drawn = json.loads((tmp_path / "geojson" / "c.geojson").read_text())
    points = np.array(drawn["features"][0]["geometry"]["coordinates"][0])
    assert drawn["origin_px0"] == [*CORNER]
    assert np.abs(points.min(axis=0) - [128, 64]).max() < 64  # the detector rounds its outline
    assert np.abs(points.max(axis=0) - [512, 448]).max() < 64  # the detector rounds its outline


def test_what_was_written_reads_back_and_so_does_what_qupath_saves(cropped: Path, tmp_path: Path) -> None:
    patch_slide(cropped, tmp_path / "found", TilingSpec(patch_size=64))
    found = read_coords(tmp_path / "found" / "coords" / "c.h5").coords_xy
    ours = tmp_path / "found" / "geojson" / "c.geojson"
    collection = json.loads(ours.read_text())
    del collection["origin_px0"]  # QuPath keeps no members that it does not know
    (tmp_path / "c.geojson").write_text(json.dumps(collection))
    for number, path in enumerate((ours, tmp_path / "c.geojson")):
        (own,) = find_masks(path, [cropped]).values()
        outcome = patch_slide(cropped, tmp_path / str(number), TilingSpec(patch_size=64, mask=own))
        again = read_coords(tmp_path / str(number) / "coords" / "c.h5").coords_xy
        assert np.array_equal(again, found)
        assert any("corner of the scanned area" in note for note in outcome.notes) == (number == 1)


def test_a_selection_is_written_for_qupath(cropped: Path, tmp_path: Path) -> None:
    patch_slide(cropped, tmp_path, TilingSpec(patch_size=64))
    coords_xy = read_coords(tmp_path / "coords" / "c.h5").coords_xy
    facts = {"patch_size_level0": 64, "level0_mpp": 0.5, "scores": None, "score_name": "", "title": "drawn"}
    kept = np.ones(len(coords_xy), bool)
    for slide, corner in ((cropped, (0, 0)), (None, CORNER)):
        _, path = draw_selection(
            tmp_path / "s.png", coords_xy=coords_xy, kept=kept, slide=slide, qupath_xy=corner, **facts
        )
        first = json.loads(path.read_text())["features"][0]["geometry"]["coordinates"][0][0]
        assert first == (coords_xy[0] - CORNER).tolist()


class Mean:
    """The mean colour of a patch."""

    label = "mean"
    provenance = {"weights": "none"}  # noqa: RUF012

    def prepare(self, patch: np.ndarray) -> np.ndarray:
        return patch

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return batch.mean(axis=(1, 2)).astype(np.float32)

    def describe(self) -> dict[str, str]:
        return {"encoder": self.label}


def test_bags_record_the_frame_and_a_selection_without_its_slide_finds_it(cropped: Path, tmp_path: Path) -> None:
    patch_slide(cropped, tmp_path, TilingSpec(patch_size=64))
    encode_slide(tmp_path / "coords" / "c.h5", tmp_path / "bags", Mean(), FeatureOptions())
    with h5py.File(tmp_path / "bags" / "c.h5") as file:
        assert file.attrs["frame"] == "level0"
        assert [file.attrs[name] for name in BAG_ATTRIBUTES] == [*CORNER, *SIZE]
    place = locate(tmp_path / "bags" / "c.h5", None)
    assert place.qupath_xy == CORNER
    assert np.array_equal(place.coords_xy, read_coords(tmp_path / "coords" / "c.h5").coords_xy)
