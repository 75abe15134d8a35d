"""Feature bags in: exact token counts from metadata; packed tensors out (features W7, W8, W9, W31)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from transformers import AutoProcessor

from pathplugins.core.errors import BagError, PathPluginsError
from pathplugins.data.bags import read_bag
from pathplugins.models.custom_llava.processing_custom_llava import CustomLlavaImageProcessor

WriteH5 = Callable[..., Path]


def reader(**options: Any) -> CustomLlavaImageProcessor:
    return CustomLlavaImageProcessor(**{"feature_dim": 10, "patches_per_wsi": 20, "image_seq_length": 6, **options})


@pytest.mark.parametrize(
    ("options", "rows", "tokens"),
    [
        ({}, 1, 2),
        ({}, 5, 6),
        ({}, 6, 7),
        ({}, 7, 7),
        ({}, 47, 7),
        ({"image_seq_length": 0}, 47, 1),
        ({"image_seq_length": 30}, 47, 21),
        ({"image_seq_length": 30, "patches_per_wsi": None}, 47, 31),
        ({"vision_feature_select_mode": "none"}, 47, 21),
        ({"vision_feature_select_mode": "none", "patches_per_wsi": None}, 47, 48),
    ],
)
def test_tokens_of_a_bag_come_from_its_shape(
    write_h5: WriteH5, options: dict[str, Any], rows: int, tokens: int
) -> None:
    path = write_h5(f"count{rows}", rows)
    image_processor = reader(**options)
    assert image_processor.num_image_tokens(path) == image_processor.tokens_of(rows) == tokens


def test_rows_may_be_drawn_in_strips(write_h5: WriteH5) -> None:
    path = write_h5("strips", 47)
    whole = reader(patches_per_wsi=None)([path])["patch_features"].tolist()
    alone, strips = (reader(patches_block=block)([path])["patch_features"].tolist() for block in (1, 5))
    rows = [[whole.index(row) for row in drawn] for drawn in (alone, strips)]
    neighbours = [sum(b - a == 1 for a, b in itertools.pairwise(drawn)) for drawn in rows]
    assert [len(set(drawn)) for drawn in rows] == [20, 20]
    assert neighbours[1] >= 14 > neighbours[0]  # at most six runs, one of them cut by the end of the bag


def test_a_bag_written_anew_is_counted_anew(write_h5: WriteH5) -> None:
    path = write_h5("anew", 3)
    assert reader().num_image_tokens(path) == 4
    assert reader().num_image_tokens(write_h5("anew", 5)) == 6
    with pytest.raises(BagError, match=r"absent\.h5"):
        reader().num_image_tokens(path.with_name("absent.h5"))


def test_bags_are_packed_as_stored_without_padding(write_h5: WriteH5) -> None:
    """W8: no zero rows; (x, y) pixels at 0.5 mpp for the tower, level-0 (y, x) in the file."""
    paths = [write_h5("pack3", 3), write_h5("pack13", 13)]
    got = reader()(paths)
    assert got["patch_counts"].tolist() == [3, 13]
    assert got["patch_features"].shape == (16, 10)
    with h5py.File(paths[1]) as file:
        assert torch.equal(got["patch_features"][3:], torch.from_numpy(file["features"][:]))
        yx = torch.from_numpy(file["coords_yx"][:])
    assert torch.equal(got["patch_coords"][3:], yx.flip(1) // 2)
    swapped = reader(compat_coords_yx=True)(paths)
    assert torch.equal(swapped["patch_coords"], got["patch_coords"].flip(1))
    assert not torch.equal(swapped["patch_coords"], got["patch_coords"])


def test_draws_repeat_in_evaluation_and_differ_by_epoch_and_sample(write_h5: WriteH5) -> None:
    """W7: a draw depends on seed, epoch and sample, not on order, neighbours, worker or rank."""
    big, other = write_h5("draw47", 47), write_h5("draw48", 48)
    image_processor = reader()
    evaluation = image_processor([big])
    assert evaluation["patch_counts"].tolist() == [20]

    def features(*images: Path, seed: int = 42, **options: Any) -> torch.Tensor:
        return reader(seed=seed)(images, **options)["patch_features"]

    assert torch.equal(features(big), evaluation["patch_features"])
    assert torch.equal(features(other, big)[20:], evaluation["patch_features"])
    draws = [
        features(big),
        features(big, epoch=0),
        features(big, epoch=1),
        features(big, epoch=1, keys=[b"another question"]),
        features(big, seed=43),
    ]
    assert len({tuple(draw.flatten().tolist()) for draw in draws}) == 5
    assert torch.equal(features(big, epoch=1), draws[2])
    stored = read_bag(big).features
    order = [int((stored == row).all(1).argmax()) for row in draws[2].numpy()]
    assert order == sorted(set(order))  # ascending, none twice: the tower's segments keep their neighbours


def test_another_encoders_features_are_refused(write_h5: WriteH5) -> None:
    with pytest.raises(BagError, match=r"wide\.h5: features are 12 wide, the vision tower takes 10; extract"):
        reader()([write_h5("wide", 4, width=12)])


def test_a_null_bag_fits_the_tower(shared: Any) -> None:
    features, counts = shared.get_image_features(**reader().null_inputs())
    assert counts == [reader().null_tokens] == [2]
    assert features.isfinite().all()


def test_bags_without_positions_for_a_tower_that_asks_for_none(make_vlm: Any, load: Any, tmp_path: Path) -> None:
    """Its features reach the connector as they are; a selector that asks where patches lie refuses such a bag."""
    folder = make_vlm(
        vision_model_name="features",
        vision_config={"feature_dim": 10},
        random_vision_seed=None,
        vision_feature_select_mode="none",
        patches_sampling="linspace",
        patches_per_wsi=5,
    )
    features = np.random.default_rng(0).standard_normal((9, 10)).astype(np.float32)
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["features"] = features
    processor, model = AutoProcessor.from_pretrained(folder), load(folder)
    reader = processor.image_processor
    assert reader.num_image_tokens(tmp_path / "bare.h5") == 5
    inputs = reader([tmp_path / "bare.h5"], epoch=3)
    np.testing.assert_array_equal(inputs["patch_features"], features[[0, 2, 4, 6, 8]])
    assert inputs["patch_coords"].eq(-1).all()
    chosen = model.select_image_tokens(**inputs)
    np.testing.assert_array_equal(chosen.tokens, features[[0, 2, 4, 6, 8]])
    reader.vision_feature_select_mode = "spatial"
    with pytest.raises(BagError, match="features without positions"):
        reader([tmp_path / "bare.h5"])


@pytest.mark.parametrize(
    ("shares", "wanted"), [("even", ([4, 3, 5], [12])), ("in_order", ([10, 1, 1], [12]))], ids=["even", "in_order"]
)
def test_the_bags_of_a_sample_share_its_rows(
    write_h5: WriteH5, shares: str, wanted: tuple[list[int], list[int]]
) -> None:
    paths = [write_h5("share47", 47), write_h5("share3", 3), write_h5("share30", 30)]
    options = {"vision_feature_select_mode": "none", "patches_sampling": "first", "slide_token": False}
    image_processor = reader(patches_per_case=12, case_shares=shares, extra_tokens=1, max_images=3, **options)
    assert image_processor.sample_tokens(paths) == [rows + 1 for rows in wanted[0]]
    assert image_processor.num_image_tokens(paths[0]) == 13
    got = image_processor([*paths, paths[0]], samples=[3, 1])
    assert got["patch_counts"].tolist() == [*wanted[0], *wanted[1]]
    first = wanted[0][0]
    np.testing.assert_array_equal(got["patch_features"][:first], read_bag(paths[0]).features[:first])
    with pytest.raises(PathPluginsError, match="a sample has 4 slides, there are markers for 3"):
        image_processor.sample_tokens([*paths, paths[0]])
    with pytest.raises(PathPluginsError, match="a sample has 4 slides"):
        image_processor([*paths, paths[0]], samples=[4])
