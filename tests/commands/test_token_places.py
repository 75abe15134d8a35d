"""Vision tokens lie where their patches do: of bags by rows drawn and kept, of images on a grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_models import BUDGET, PALLAVA

from pathplugins.commands.answering import open_file
from pathplugins.commands.loading import LoadedModel, load_model
from pathplugins.commands.token_places import token_places
from pathplugins.core.errors import PathPluginsError

pytest.importorskip("transformers")
ROWS = 37
TURN = "<|start_header_id|>user<|end_header_id|>\n\n<image>{}<|eot_id|>"
Make = Callable[..., Path]


def loaded(directory: Path) -> LoadedModel:
    return load_model(directory, device="cpu", dtype="float32")


@pytest.mark.parametrize("mode", ["random_sample", "prumerge", "prumerge_adaptive", "prompt_topk", "spatial", "none"])
def test_a_token_of_a_bag_lies_where_its_patch_does(mode: str, make_vlm: Make, write_h5: Callable[..., Path]) -> None:
    """Proved by the features themselves: rows are drawn from the bag, kept by the selector, in this order."""
    import torch

    from pathplugins.data.bags import read_bag

    model, bag = loaded(make_vlm(None, vision_feature_select_mode=mode)), write_h5("placed", ROWS)
    opened, prompt = open_file(model, bag), TURN.format("What is it?")
    places = token_places(model, opened, prompt)
    inputs = model.processor(prompt, [bag])
    with torch.no_grad():
        selection = model.model.select_image_tokens(**inputs)
    assert len(places.boxes) == selection.counts[0]
    assert places.boxes[0] is None
    whole = read_bag(bag).features
    assert len(places.chosen.rows) == 20 < ROWS == len(places.patches.coords_xy)
    assert np.array_equal(whole[places.chosen.rows], inputs["patch_features"].numpy())
    rows = places.chosen.rows[selection.indices.numpy()]
    right = [(col * 512, row * 512, 512, 512) for row, col in (divmod(row, 9) for row in rows.tolist())]
    assert places.boxes[1 : 1 + len(right)] == right
    assert places.boxes[1 + len(right) :] == [None] * (selection.counts[0] - 1 - len(right))
    assert places.chosen.kept.sum() == len(right)
    assert (places.chosen.scores is None) == (mode in ("random_sample", "spatial", "none"))
    assert (len(right) == 20) == (mode == "none")
    if mode == "prompt_topk":
        other = token_places(model, opened, TURN.format("Why is the tissue so dominant?"))
        assert not np.array_equal(other.chosen.scores, places.chosen.scores)
        assert len(right) == BUDGET


def test_a_token_of_a_padded_image_lies_in_the_square_around_it(
    make_vlm: Make, picture: Callable[..., Image.Image], tmp_path: Path
) -> None:
    """The grid is 5 x 5 over a square of the longer side, as the tile of the tower; what is padding is no place."""
    model, path = loaded(make_vlm(None, **PALLAVA, image_aspect_ratio="pad")), tmp_path / "wide.png"
    picture(50, 17).save(path)  # 16 rows of padding above, 17 below
    boxes = token_places(model, open_file(model, path), TURN.format("?")).boxes
    assert len(boxes) == 25
    assert boxes[:5] == boxes[20:] == [None] * 5
    assert boxes[5:10] == [(x, 0, 10, 4) for x in range(0, 50, 10)]
    assert boxes[10:15] == [(x, 4, 10, 10) for x in range(0, 50, 10)]
    assert boxes[15:20] == [(x, 14, 10, 3) for x in range(0, 50, 10)]


def test_a_token_of_the_middle_lies_in_the_middle(
    make_vlm: Make, picture: Callable[..., Image.Image], tmp_path: Path
) -> None:
    """50 x 17 pixels become 58 x 20, of which (58 - 20) // 2 are cut off on the left."""
    model, path = loaded(make_vlm(None, **PALLAVA, image_aspect_ratio="square")), tmp_path / "wide.png"
    picture(50, 17).save(path)
    boxes = token_places(model, open_file(model, path), TURN.format("?")).boxes
    px = 50 / 58
    right = [((19 + column * 4) * px, row * 3.4, 4 * px, 3.4) for row in range(5) for column in range(5)]
    np.testing.assert_allclose(np.array(boxes), right, atol=1e-9)


def test_a_token_of_merged_tiles_lies_on_the_thumbnail(
    make_vlm: Make, picture: Callable[..., Image.Image], tmp_path: Path
) -> None:
    model, path = loaded(make_vlm(None, **PALLAVA)), tmp_path / "tall.png"
    picture(37, 44).save(path)
    places = token_places(model, open_file(model, path), TURN.format("?"))
    right = [(col * 7.4, row * 8.8, 7.4, 8.8) for row in range(5) for col in range(5)]
    np.testing.assert_allclose(np.array(places.boxes), right, atol=1e-9)
    assert places.chosen is places.patches is None


def test_tokens_that_a_selector_drops_are_no_tokens(
    make_vlm: Make, picture: Callable[..., Image.Image], tmp_path: Path
) -> None:
    few = {"vision_feature_select_mode": "stride", "image_seq_length": 5}
    model, path = loaded(make_vlm(None, **PALLAVA, **few)), tmp_path / "x.png"
    picture(50, 50).save(path)
    boxes = token_places(model, open_file(model, path), TURN.format("?")).boxes
    assert boxes == [(20, y, 10, 10) for y in range(0, 50, 10)]  # each row's middle


def test_places_that_nobody_can_tell_are_refused(
    make_vlm: Make, picture: Callable[..., Image.Image], tmp_path: Path
) -> None:
    parts: dict[str, Any] = {**PALLAVA, "mm_projector_type": "linear", "projector_config": {}}
    model, path = loaded(make_vlm(None, **parts)), tmp_path / "tiles.png"
    picture(37, 44).save(path)
    with pytest.raises(PathPluginsError, match=r"tiles\.png: this model reads every place of an image twice"):
        token_places(model, open_file(model, path), TURN.format("?"))
    reader: Any = model.processor.image_processor
    opened = open_file(model, path)
    reader.tokens_per_tile = 24
    with pytest.raises(PathPluginsError, match="24 tokens, which are no square grid"):
        token_places(model, opened, TURN.format("?"))


PLAIN: dict[str, Any] = {
    "vision_model_name": "features",
    "vision_config": {"feature_dim": 10},
    "random_vision_seed": None,
    "vision_feature_select_mode": "none",
}
"""A tower without a slide token."""


@pytest.mark.parametrize(("connector", "before"), [({}, 0), ({"mm_projector_type": "norm_mlp"}, 1)])
def test_a_slide_without_token_of_its_own_has_a_place_for_each_or_a_marker_first(
    connector: dict[str, Any], before: int, make_vlm: Make, write_h5: Callable[..., Path]
) -> None:
    if connector:
        connector = {**connector, "projector_config": {"slide_markers": True}}
    model, bag = loaded(make_vlm(None, **PLAIN, **connector)), write_h5("placed", ROWS)
    places = token_places(model, open_file(model, bag), TURN.format("?"))
    rows = places.chosen.rows.tolist()
    right = [(col * 512, row * 512, 512, 512) for row, col in (divmod(row, 9) for row in rows)]
    assert places.boxes == [None] * before + right
    assert len(places.boxes) == model.processor.num_image_tokens(bag)


def test_tokens_of_a_whole_slide_and_bags_without_positions_have_no_place(
    make_vlm: Make, write_h5: Callable[..., Path], tmp_path: Path
) -> None:
    h5py = pytest.importorskip("h5py")
    queries = {"mm_projector_type": "latent_queries", "projector_config": {"num_queries": 3, "num_attention_heads": 2}}
    model, bag = loaded(make_vlm(None, **PLAIN, **queries)), write_h5("placed", ROWS)
    with pytest.raises(PathPluginsError, match="makes 3 tokens of all that it is shown"):
        token_places(model, open_file(model, bag), TURN.format("?"))
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["features"] = np.ones((4, 10), np.float32)
    model = loaded(make_vlm(None, **PLAIN))
    with pytest.raises(PathPluginsError, match=r"bare\.h5 holds features without positions, so nothing can be drawn"):
        token_places(model, open_file(model, tmp_path / "bare.h5"), TURN.format("?"))
