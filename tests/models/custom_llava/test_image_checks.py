from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pathplugins.core.errors import BagError
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.data.records import Record, Turn, check_images
from pathplugins.models.custom_llava.image_checks import bag_encoders, image_check, other_encoders
from pathplugins.models.custom_llava.processing_custom_llava import (
    CustomLlavaImageProcessor,
    CustomLlavaProcessor,
    load_image_processor,
)
from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT

RELEASED = {"depth": 1, "num_heads": 4, "embed_dim": 24, "segment_lengths": [8], "dilated_ratios": [1]}
TOWER = {"model_type": "longnet_vit", **RELEASED}


@pytest.fixture
def bag(tmp_path: Path) -> Callable[..., Path]:
    """A bag of three patches as wide as GigaPath's features, by any encoder."""

    def bag(name: str, encoder: str) -> Path:
        sizes = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
        about = BagAttributes(slide_id=name, encoder=encoder, level0_width=5120, level0_height=2560, **sizes)
        features = np.random.default_rng(0).standard_normal((3, 1536)).astype(np.float32)
        write_bag(tmp_path / f"{name}.h5", [features], np.array([[0, 0], [0, 512], [512, 1024]]), about)
        return tmp_path / f"{name}.h5"

    return bag


def records(*bags: Path) -> list[Record]:
    turns = (Turn("user", "<image>"), Turn("assistant", "a"))
    return [
        Record(id=path.stem, conversations=turns, images=(str(path),), meta={}, source="t.csv", row=row)
        for row, path in enumerate(bags, 2)
    ]


def test_the_processor_refuses_another_encoder_when_it_counts_and_when_it_reads(bag: Callable[..., Path]) -> None:
    path = bag("a", "UNI_v2")
    strict = CustomLlavaImageProcessor(expects_encoder="gigapath")
    for function in (strict.num_image_tokens, lambda bag: strict([bag])):
        with pytest.raises(BagError, match=r"a\.h5: features are of the encoder 'UNI_v2', but the vision tower was tr"):
            function(path)
    allowed = CustomLlavaImageProcessor(expects_encoder="gigapath", allow_other_encoder=True)
    assert allowed.num_image_tokens(path) == len(allowed([path])["patch_features"]) + 1 == 4
    assert strict.num_image_tokens(bag("b", "prov-gigapath")) == 4


def test_rows_with_bags_of_another_encoder_are_one_report(bag: Callable[..., Path], tmp_path: Path) -> None:
    run = records(bag("a", "gigapath"), bag("b", "uni2-h"), bag("c", "gigapath"), tmp_path / "absent.h5")
    strict = CustomLlavaImageProcessor(expects_encoder="gigapath")
    check, rules = image_check(strict, TOWER)
    assert json.loads(rules.translate({40: "[", 41: "]", 39: '"'}).replace("None", "null").replace("True", "true")) == [
        ["coords_mpp", None],
        ["features", True],
        ["grid_cells", 1000],
        ["tile_px", 256],
        ["width", 1536],
    ]  # what files that passed are remembered under: another text would have terabytes read again
    (missing,) = check_images(run, check)
    assert missing.row == 5
    (other,) = other_encoders(run, strict, known_bad=[missing])
    assert (other.source, other.row, other.reason) == ("t.csv", 3, "another encoder")
    assert "'uni2-h', but the vision tower was trained on those of 'gigapath'" in other.detail
    any_of_them = CustomLlavaImageProcessor()
    (other,) = other_encoders(run, any_of_them)
    assert other.row == 3
    assert "but 2 of 3 bags of this run name 'gigapath'" in other.detail
    for allowed in (CustomLlavaImageProcessor(allow_other_encoder=True), object()):
        assert other_encoders(run, allowed) == []
    assert [*bag_encoders([record.images[0] for record in run]).values()] == ["gigapath", "uni2-h", "gigapath"]


def test_composed_directories_say_which_encoder_is_expected(
    make_spec: Callable[..., Any], make_vlm: Callable[..., Path], tmp_path: Path
) -> None:
    def settings(directory: Path) -> dict[str, Any]:
        made = json.loads((directory / "preprocessor_config.json").read_text())
        return {name: made[name] for name in ("feature_dim", "frame_mpp", "expects_encoder", "allow_other_encoder")}

    tower = LongNetViT(LongNetConfig(**RELEASED))
    torch.save(tower.state_dict(), tmp_path / "tower.pth")
    told = {"num_heads": 4, "segment_lengths": [8], "dilated_ratios": [1]}
    trained = make_vlm(None, vision_tower=str(tmp_path / "tower.pth"), random_vision_seed=None, vision_config=told)
    expected = {"feature_dim": 1536, "frame_mpp": 0.5, "expects_encoder": "gigapath", "allow_other_encoder": False}
    assert settings(trained) == expected
    assert load_image_processor(trained).expects_encoder == "gigapath"
    untrained = make_vlm(None, vision_config=RELEASED)
    assert settings(untrained) == {**expected, "expects_encoder": None}
    assert load_image_processor(untrained).expects_encoder is None
    assert settings(make_vlm(None)) == {**expected, "feature_dim": 10, "expects_encoder": None}
    assert settings(make_vlm(None, allow_other_encoder=True))["allow_other_encoder"] is True
    ids = {make_spec(allow_other_encoder=value).fingerprint() for value in (False, True)}
    assert len(ids) == 2


def test_directories_of_earlier_versions_expect_what_their_tower_does(vlm: Path, tmp_path: Path) -> None:
    CustomLlavaProcessor.from_pretrained(vlm).save_pretrained(tmp_path)
    path, younger = tmp_path / "preprocessor_config.json", ("frame_mpp", "expects_encoder", "allow_other_encoder")
    earlier = {name: value for name, value in json.loads(path.read_text()).items() if name not in younger}
    path.write_text(json.dumps(earlier))
    for tower, encoder in ((TOWER, "gigapath"), ({**TOWER, "in_chans": 10}, None)):
        (tmp_path / "config.json").write_text(json.dumps({"vision_config": tower}))
        got = load_image_processor(tmp_path)
        assert (got.expects_encoder, got.frame_mpp, got.allow_other_encoder) == (encoder, 0.5, False)
