"""Explanation files: what is drawn and written is what the explanation says, on slide and image alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_models import PALLAVA

from pathplugins.commands.answering import open_file
from pathplugins.commands.explaining import Explanation, explain
from pathplugins.commands.explanation_files import ATTENTION, ExplanationFiles
from pathplugins.commands.loading import LoadedModel, load_model
from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pictures.colour_scale import HEAT, VIRIDIS

pytest.importorskip("transformers")
TURN = (
    "<|start_header_id|>user<|end_header_id|>\n\n<image>What?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n"
)
TEMPLATE = (
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
TOLD = "It is, it was."
Loaded = tuple[LoadedModel, Explanation, ExplanationFiles]


def explained(directory: Path, path: Path) -> Loaded:
    model = load_model(directory, device="cpu", dtype="float32")
    model.processor.tokenizer.chat_template = TEMPLATE
    found = explain(model, open_file(model, path), TURN, TOLD)
    return model, found, ExplanationFiles(model, path, found, question="What?", answer=TOLD)


@pytest.fixture(scope="module")
def slide(make_vlm: Callable[..., Path], write_h5: Callable[..., Path]) -> Loaded:
    return explained(make_vlm(None, vision_feature_select_mode="prumerge"), write_h5("explained", 37))


def written(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["features"]


def test_qupath_gets_attention_and_score_of_every_patch_that_was_read(slide: Loaded, tmp_path: Path) -> None:
    _, found, files = slide
    files.geojson(tmp_path / "a.geojson", words=True)
    features, chosen = written(tmp_path / "a.geojson"), found.places.chosen
    assert len(features) == len(chosen.rows) == 20
    kept = [each for each in features if each["properties"]["classification"]["name"] == "kept"]
    assert [tuple(each["geometry"]["coordinates"][0][0]) for each in kept] == [box[:2] for box in found.patches[1:]]
    score = "attention of the slide token"
    assert [each["properties"]["measurements"][score] for each in features] == chosen.scores.tolist()
    names = {ATTENTION, score, "1 It", "2 is,", "3 it", "4 was."}
    assert {*kept[0]["properties"]["measurements"]} == names
    for name, weights in ((ATTENTION, found.answer_weights), ("2 is,", found.weights[1])):
        assert [each["properties"]["measurements"][name] for each in kept] == weights[1:].tolist()
    others = [each["properties"]["measurements"] for each in features if each not in kept]
    assert len(others) == 14
    assert all({*each} == {score} for each in others)


def test_all_numbers_are_in_the_json(slide: Loaded, tmp_path: Path) -> None:
    model, found, files = slide
    files.json(tmp_path / "a.json")
    told = json.loads((tmp_path / "a.json").read_text())
    assert (told["question"], told["answer"], told["model"]) == ("What?", TOLD, model.name)
    assert [each["word"] for each in told["words"]] == ["It", "is,", "it", "was."]
    np.testing.assert_allclose([each["weights"] for each in told["words"]], found.weights, rtol=1e-5)
    np.testing.assert_allclose([each["to_picture"] for each in told["words"]], found.looked, rtol=1e-5)
    tokens = told["tokens"]
    assert tokens[0]["box"] is None
    assert "score" not in tokens[0]
    assert [tuple(each["box"]) for each in tokens[1:]] == found.patches[1:]
    chosen = found.places.chosen
    np.testing.assert_allclose([each["score"] for each in tokens[1:]], chosen.scores[chosen.kept], rtol=1e-5)


def test_the_picture_is_brightest_where_the_model_looked_most(slide: Loaded, tmp_path: Path) -> None:
    """The canvas begins one patch left of and above the first patch of the bag."""
    _, found, files = slide
    files.picture(tmp_path / "a.png")
    assert files.selector_picture(tmp_path / "s.png")
    files.picture(tmp_path / "w.png", word="was")
    files.picture_of_word(tmp_path / "v.png", 3)
    pixels, *others = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in "aswv")
    assert np.array_equal(others[1][:400], others[2][:400])
    assert not np.array_equal(pixels[:400], others[0][:400])
    weights = found.answer_weights[1:]
    for index, colour in ((int(weights.argmax()), VIRIDIS[-1]), (int(weights.argmin()), VIRIDIS[0])):
        x, y, side, _ = found.patches[1 + index]
        scale = 2048 / (11 * 512)  # 9 patches and two margins
        at = pixels[round((y + 512 + side / 2) * scale), round((x + 512 + side / 2) * scale)]
        assert np.abs(at - (colour * HEAT + 255 * (1 - HEAT))).max() <= 2
    with pytest.raises(PathPluginsError, match=r"unknown word of the answer 'tumor'\. Known: It, is,, it, was\."):
        files.picture(tmp_path / "x.png", word="tumor")
    assert not (tmp_path / "x.png").exists()


def test_a_word_said_twice_is_their_mean(slide: Loaded) -> None:
    _, found, files = slide
    assert files._rows_of('"IT,"') == [0, 2]
    assert found.words[0] != found.words[2]


def test_an_image_is_drawn_on_itself(
    make_vlm: Callable[..., Path], picture: Callable[..., Image.Image], tmp_path: Path
) -> None:
    path = tmp_path / "wide.png"
    picture(50, 17).save(path)
    _, found, files = explained(make_vlm(None, **PALLAVA, image_aspect_ratio="pad"), path)
    assert not files.selector_picture(tmp_path / "s.png")
    files.picture(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").width == 1024
    files.geojson(tmp_path / "a.geojson")
    features = written(tmp_path / "a.geojson")
    boxes = [box for box in found.patches if box is not None]
    assert len(features) == len(boxes) == 15
    assert features[6]["geometry"]["coordinates"][0][::2] == [[10, 4], [20, 14], [10, 4]]
    inside = sum(each["properties"]["measurements"][ATTENTION] for each in features)
    assert 0 < inside < 1  # the rest went to the padding
