"""Predictions: those of the network picture by picture, in the order of the set; faults of pictures all told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pathplugins.classify.pictures import PatchDataset
from pathplugins.classify.runs import Run, load_run
from pathplugins.classify.scoring.predict import Pace, class_probabilities, mask_counts, seen
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.patch_sets import read_patch_set
from tests.fixtures.drawn_runs import SIDE, draw_glands, draw_tumours, make_run


def one_by_one(run: Run, pixels: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (run.preprocess.mean, run.preprocess.std))
    with torch.inference_mode():
        return run.model(((pixels.float() / 255 - mean) / std)[None])[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_probabilities_are_those_of_each_picture(tmp_path: Path, workers: int) -> None:
    data = draw_tumours(tmp_path / "data", cases=2, patches=2)
    make_run(tmp_path / "run", data)
    run, test = load_run(tmp_path / "run"), read_patch_set(data).part("test")
    found = class_probabilities(run, test, Pace(batch_size=3, workers=workers))
    pictures = PatchDataset(test, size=SIDE, centre_px=SIDE)
    expected = [one_by_one(run, pictures[index]["pixels"]).softmax(0).numpy() for index in range(len(test))]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len({tuple(row) for row in found.tolist()}) == len(test)
    shot = seen(run, test.take([3]), Pace())[0]
    assert (int(shot.truth), int(shot.predicted)) == (int(test.labels[3]), int(found[3].argmax()))
    assert np.array_equal(shot.pixels, pictures[3]["pixels"].permute(1, 2, 0).numpy())


def test_counts_are_pixels_by_truth_and_prediction(tmp_path: Path) -> None:
    data = draw_glands(tmp_path / "data")
    make_run(tmp_path / "run", data)
    run, test = load_run(tmp_path / "run"), read_patch_set(data).part("test")
    counts = mask_counts(run, test, Pace(batch_size=3))
    assert counts.shape == (4, 6, 6)
    assert (counts.sum((1, 2)) == SIDE * SIDE).all()
    for index, shot in enumerate(seen(run, test, Pace(batch_size=4))):
        for truth, said in np.ndindex(6, 6):
            assert counts[index, truth, said] == ((shot.truth == truth) & (shot.predicted == said)).sum()
        assert set(np.unique(shot.truth)) == {0, 2, 5}


@pytest.mark.parametrize("workers", [0, 1])
def test_every_picture_that_cannot_be_read_is_named(tmp_path: Path, workers: int) -> None:
    data = draw_tumours(tmp_path / "data", cases=2, patches=2)
    make_run(tmp_path / "run", data)
    test = read_patch_set(data).part("test")
    for index in (1, 6):
        test.file(index).write_bytes(b"no picture")
    with pytest.raises(PathPluginsError) as caught:
        class_probabilities(load_run(tmp_path / "run"), test, Pace(batch_size=2, workers=workers))
    assert str(caught.value).startswith("2 of 8 pictures cannot be used")
    assert all(test.names[index] in str(caught.value) for index in (1, 6))
