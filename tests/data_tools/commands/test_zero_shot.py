"""``pathdata zero-shot``: folders of classes are scored, bad images told."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("open_clip")

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.clip.model import ClipChoice, central_square, load_clip
from pathplugins.data_tools.commands.zero_shot import ZeroShotOptions

Command = Callable[..., tuple[int, str]]


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


def test_folders_of_classes_are_scored(
    pathdata: Command, pictures: Path, tmp_path: Path, transformers_clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, labels = tmp_path / "p.jsonl", {"lymph node": ["a lymph node", "lymphoid"], "tumour": "tumour cells"}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    basic = ["zero-shot", pictures, "--clip", transformers_clip, "--device", "cpu", "--out", out]
    code, said = pathdata(*basic, "--labels", tmp_path / "labels.json", "--batch-size", 3)
    assert code == 0, said
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    clip = load_clip(ClipChoice(path=transformers_clip, device="cpu"))
    mean = clip.texts(["a lymph node", "lymphoid"]).mean(axis=0)
    classes = np.stack([mean / np.linalg.norm(mean), clip.texts(["tumour cells"])[0]])
    for row in rows:
        logits = 100 * clip.patches([central_square(Image.open(row["image"]))])[0] @ classes.T
        wanted = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        np.testing.assert_allclose([*row["probabilities"].values()], wanted, atol=1e-4)
        assert row["label"] == [*labels][int(wanted.argmax())]
        assert row["truth"] == {"Tumour": "tumour", "lymph_node": "lymph node"}[Path(row["image"]).parent.name]
    assert len(rows) == 7
    right = {name: [row["label"] == name for row in rows if row["truth"] == name] for name in labels}
    balanced = np.mean([np.mean(found) for found in right.values()])
    accuracy = np.mean([row["label"] == row["truth"] for row in rows])
    assert f"accuracy {accuracy:.4f}, balanced accuracy {balanced:.4f}" in said
    assert f"tumour: {sum(right['tumour'])} of 5 right" in said


def test_bad_images_are_left_out_and_told(
    pathdata: Command, pictures: Path, tmp_path: Path, open_clip_folder: Path
) -> None:
    (pictures / "Tumour" / "3.png").write_bytes(b"no picture")
    more = ["--labels", "Lymph node,tumour", "--clip", open_clip_folder, "--device", "cpu", "--batch-size", 1]
    code, said = pathdata("zero-shot", pictures, "--out", tmp_path / "p.jsonl", *more)
    assert code == 1
    assert "1 of 7 images cannot be read" in said
    assert "3.png" in said
    assert len((tmp_path / "p.jsonl").read_text().splitlines()) == 6
    code, said = pathdata("zero-shot", pictures / "Tumour" / "4.png", "--out", tmp_path / "q.jsonl", *more)
    assert code == 0
    assert "accuracy" not in said
    assert "truth" not in json.loads((tmp_path / "q.jsonl").read_text())


@pytest.mark.parametrize("option", ["batch_size", "readers"])
def test_options_judge_themselves(option: str) -> None:
    with pytest.raises(PathPluginsError, match=f"--{option.replace('_', '-')} must be at least 1, got 0"):
        ZeroShotOptions(images=[], labels="a,b", out=Path("x"), **{option: 0})
