"""Zero-shot classification: probabilities against numbers worked out by hand, scores, and bad input."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("open_clip")

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.clip.model import ClipChoice, load_clip
from pathplugins.data_tools.clip.zero_shot import Score, class_features, find_pictures, probabilities, read_labels


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Seven pictures in two classes, none of them square."""
    generator = np.random.default_rng(0)
    for n, name in enumerate(("lymph_node", "lymph_node", "Tumour", "Tumour", "Tumour", "Tumour", "Tumour")):
        coarse = Image.fromarray(generator.integers(0, 256, (5, 7, 3), np.uint8))
        path = tmp_path / "pictures" / name / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse.resize((70, 53), Image.Resampling.BICUBIC).save(path)
    return tmp_path / "pictures"


def test_probabilities_are_the_softmax_of_100_cosines() -> None:
    features, classes = np.eye(2, 3, dtype=np.float32), np.float32([[0.6, 0.59, 0], [0.6, 0.6, 0]])
    found = probabilities(features, classes)
    np.testing.assert_allclose(found[0], [0.5, 0.5], atol=1e-5)
    np.testing.assert_allclose(found[1], np.exp([0, 1]) / np.exp([0, 1]).sum(), atol=1e-4)
    assert probabilities(features, 10 * classes).sum() == pytest.approx(2)  # no overflow


def test_a_class_is_the_direction_of_the_mean_of_its_prompts(transformers_clip: Path) -> None:
    clip = load_clip(ClipChoice(path=transformers_clip, device="cpu"))
    found = class_features(clip, {"a": ("x", "many glands", "no"), "b": ("pus",)})
    mean = clip.texts(["x", "many glands", "no"]).mean(axis=0)
    assert np.linalg.norm(mean) < 0.999
    np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(found[1], clip.texts(["pus"])[0], atol=1e-6)


def test_score_is_balanced_over_the_classes_there_are() -> None:
    score = Score()
    for truth, predicted in [("a", "a"), ("a", "a"), ("a", "a"), ("b", "a")]:
        score.add(truth, predicted)
    assert (score.accuracy, score.balanced_accuracy) == (0.75, 0.5)


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    assert read_labels("a, b c", ["x {}", "{}"]) == {"a": ("x a", "a"), "b c": ("x b c", "b c")}
    path.write_text('["a", "b"]')
    assert read_labels(str(path), ["{}."]) == {"a": ("a.",), "b": ("b.",)}
    for text, says in (
        ('{"a": "x"}', "one class"),
        ('{"a": "x", "b": []}', "'b' has no prompts"),
        ('{"a": "x", "b": [" "]}', "'b' has no prompts"),
        ('["a", "a", "b"]', "a class comes twice"),
        ("3", "wanted a list of classes"),
        ("{", "not readable as JSON"),
    ):
        path.write_text(text)
        with pytest.raises(PathPluginsError, match=says):
            read_labels(str(path), ["{}"])
    with pytest.raises(PathPluginsError, match=r"has no \{\}"):
        read_labels("a,b", ["an image"])
    with pytest.raises(PathPluginsError, match="has no prompts"):
        read_labels("a,,b", ["{}"])


def test_pictures_that_cannot_be_placed(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="folders Tumour are no class"):
        find_pictures([pictures], ["lymph node", "stroma"])
    with pytest.raises(PathPluginsError, match="no such file or folder"):
        find_pictures([tmp_path / "absent"], ["a", "b"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(PathPluginsError, match="no pictures in it"):
        find_pictures([tmp_path / "empty"], ["a", "b"])
    assert [picture.truth for picture in find_pictures([pictures / "Tumour"], ["x", "y"])] == [None] * 5
