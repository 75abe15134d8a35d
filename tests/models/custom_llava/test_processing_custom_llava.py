"""The processor: exact token counts from metadata, bags in, packed tensors out (features W7, W8, W9, W31, W45)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
from transformers import AutoProcessor

from pathplugins.core.errors import BagError, PathPluginsError
from pathplugins.data.bags import read_bag
from pathplugins.models.custom_llava.processing_custom_llava import CustomLlavaImageProcessor, CustomLlavaProcessor

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


def test_text_and_bags_together(processor: Any, shared: Any, write_h5: WriteH5) -> None:
    """As many placeholders as the model has vision tokens, left-padded, in order (W31, W45)."""
    bags = [[write_h5("text9", 9)], [], [write_h5("text2", 2), write_h5("text47", 47)]]
    texts = ["What is <image>?", "Hello", "<image> or the slide <image>"]
    inputs = processor(texts, bags)
    slots = (inputs["input_ids"] == processor.image_token_id).sum(1).tolist()
    assert slots == [7, 0, 3 + 7]
    assert inputs["patch_counts"].tolist() == [9, 2, 20]
    assert inputs["attention_mask"][:, -1].tolist() == [1, 1, 1]
    assert inputs["attention_mask"][1].tolist() == sorted(inputs["attention_mask"][1].tolist())
    assert shared(**inputs).logits.isfinite().all()
    one = processor("What is <image>?", bags[0])
    assert torch.equal(one["input_ids"][0], inputs["input_ids"][0][inputs["attention_mask"][0] == 1])
    assert "patch_features" not in processor("Hello")


def test_the_tokenizer_is_left_as_it_was(processor: Any, write_h5: WriteH5) -> None:
    """Trainers share it, and pad on the right."""
    processor.tokenizer.padding_side = "right"
    inputs = processor(["a <image>", "bcd efg hij klm nop qrs tuv wxyz?!#%&"], [[write_h5("side1", 1)], []])
    assert inputs["attention_mask"][0, 0] == 0
    assert processor.tokenizer.padding_side == "right"


def test_placeholders_and_bags_must_agree(processor: Any, write_h5: WriteH5) -> None:
    with pytest.raises(PathPluginsError, match=r"the text has 2 <image> but 1 images were given: '<image><image>'"):
        processor("<image><image>", [write_h5("one", 3)])


def test_save_and_load_keep_every_setting_in_the_layout_of_version_4(processor: Any, tmp_path: Path) -> None:
    changed = reader(coords_mpp=0.25, compat_coords_yx=True, seed=7, vision_feature_select_mode="none")
    CustomLlavaProcessor(changed, processor.tokenizer, image_token=processor.image_token).save_pretrained(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"preprocessor_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json"}
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["tokenizer_class"] != "TokenizersBackend"
    again = CustomLlavaProcessor.from_pretrained(tmp_path)
    assert again.image_processor.to_dict() == changed.to_dict()
    assert (again.image_token, again.image_token_id) == (processor.image_token, processor.image_token_id)
    assert again.tokenizer.get_vocab() == processor.tokenizer.get_vocab()


def test_the_auto_class_finds_it_in_a_composed_directory(vlm: Path) -> None:
    found = AutoProcessor.from_pretrained(vlm)
    assert type(found) is CustomLlavaProcessor
    assert found.image_processor.tokens_of(3) == 4


def test_a_hub_id_is_read_from_the_cache(vlm: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--pathology--demo"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    for path in vlm.iterdir():
        if path.suffix == ".json":
            (snapshot / path.name).write_bytes(path.read_bytes())
    found = CustomLlavaProcessor.from_pretrained("pathology/demo", cache_dir=tmp_path, local_files_only=True)
    assert found.image_processor.feature_dim == 10


def test_a_directory_without_settings_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"no preprocessor_config\.json: compose it with 'pathplugins compose'"):
        CustomLlavaProcessor.from_pretrained(tmp_path)
