"""Result files of one slide, from an analysis with known numbers."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from pathplugins.core.content import content_print
from pathplugins.data_tools.pathgen.select.grid import Grid
from pathplugins.data_tools.pathgen.select.ranking import Pick
from pathplugins.data_tools.pathgen.select.result_files import (
    manifest_rows,
    write_features,
    write_metrics,
    write_rankings,
)
from pathplugins.data_tools.pathgen.select.slide import Analysis
from pathplugins.data_tools.slides.slide import Slide

XY = np.array([[0, 32], [96, 32], [192, 64], [800, 640]])


@pytest.fixture
def analysis() -> Analysis:
    grid = Grid(
        **{"coords_xy": XY, "patch_size": 96, "patch_size_level0": 96, "level0_mpp": 0.5, "mpp": 0.5},
        mpp_source="slide",
    )
    return Analysis(
        grid=grid,
        features=np.eye(4, 5, dtype=np.float16),
        prompts=["gland", "fat"],
        direct=np.array([1.0, 3.0, 2.0, 0.5]),
        best_prompt=np.array([0, 1, 1, 0]),
        report=np.array([4.0, 1.0, 2.0, 3.0]),
        sentences=2,
        labels=np.array([0, 1, 1, 0]),
        picks=[Pick(1, "direct"), Pick(0, "report")],
        near_duplicates=1,
        quality={"silhouette": None},
    )


def test_rows_of_the_manifest(analysis: Analysis) -> None:
    first, second = manifest_rows("W.1", "TCGA-BRCA", analysis)
    assert first == {
        **{"image": "images/W.1/96_32.jpg", "wsi_id": "W.1", "x": 96, "y": 32, "size": 96, "size_level0": 96},
        **{"mpp": 0.5, "mpp_source": "slide", "project": "TCGA-BRCA", "organ": "breast", "chosen_by": "direct"},
        **{"direct_rank": 1, "direct_score": 3.0, "prompt": "fat", "cluster": 1, "report_rank": 4, "report_score": 1.0},
    }
    assert (second["direct_rank"], second["report_rank"], second["prompt"]) == (3, 1, "gland")
    assert "organ" not in manifest_rows("W.1", "mine", analysis)[0]


def test_features_scores_and_metrics(analysis: Analysis, slides_folder: Path, tmp_path: Path) -> None:
    with Slide(slides_folder / "a.svs") as slide:
        write_features(tmp_path / "f.h5", slide, analysis, {"encoder": "clip"})
    with h5py.File(tmp_path / "f.h5") as file:
        np.testing.assert_array_equal(file["coords"][:], XY)
        np.testing.assert_array_equal(file["report_scores"][:], [4, 1, 2, 3])
        assert dict(file["features"].attrs) == {"name": "a", "encoder": "clip"}
        assert (file["coords"].attrs["level0_width"], file["coords"].attrs["level0_height"]) == (1411, 1003)
    write_metrics(tmp_path / "m.json", slides_folder / "a.svs", "TCGA-BRCA", analysis, '{"target": 2}')
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert metrics["slide"] == "a"
    assert metrics["slide_file"]["content"] == content_print(slides_folder / "a.svs")
    assert metrics["chosen_by"] == {"direct": 1, "report": 1, "spread": 0}
    assert (metrics["patches"], metrics["clusters"], metrics["settings"]) == (4, 2, {"target": 2})


def test_pictures_of_the_rankings(analysis: Analysis, slides_folder: Path, tmp_path: Path) -> None:
    write_rankings(tmp_path, slides_folder / "a.svs", analysis, top=2)
    assert {path.name for path in tmp_path.glob("*.png")} == {"direct.png", "report.png", "clusters.png"}
    with Image.open(tmp_path / "clusters.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape[1] > pixels.shape[0]  # as the slide, with a caption below
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
