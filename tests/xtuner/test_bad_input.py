"""What is wrong is said before anything is trained: all rows of the data at once, settings one by one."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pathplugins.cli import main
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.prompts import PATCH_SYSTEM_PROMPT
from pathplugins.models.compose.tiny_llm import build_tiny_llm

pytestmark = pytest.mark.host

ALIGN = "pallava_smoke_align.py"
DERIVED = """
from mmengine.config import read_base

with read_base():
    from .pallava_smoke_align import *

parts.update({changes})
model.llm.update(model=parts)
train_dataloader.dataset.update(model=parts)
train_dataloader.collate_fn.update(model=parts)
"""
ROWS: list[tuple[str, str, Any, str]] = [
    # question, answer, image, what is reported
    ("<image>\nWhat is this?", "Stroma.", "good.png", ""),
    ("<image>\nWhat is this?", "Stroma.", "gone.png", "missing file"),
    ("<image>\nWhat is this?", "Stroma.", "cut.png", "unreadable"),
    ("<image>\nWhat is this?", "Stroma.", "text.png", "Git-LFS pointer"),
    ("What is this?", "Stroma.", "good.png", "0 <image> in the text but 1 images"),
    ("<image>\n<image>\nWhat is this?", "Stroma.", "good.png", "2 <image> in the text but 1 images"),
    ("<image>\nWhat is this?", "Stroma.", ["good.png", "good.png"], "1 <image> in the text but 2 images"),
    ("<image>\nWhat is this?", " ", "good.png", "empty answer"),
    ("What is stroma?", "Tissue that holds.", None, ""),
]


@pytest.fixture(scope="module")
def spoilt(folder: Path) -> Path:
    """A JSONL written by hand, and its images."""
    images = folder / "spoilt"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (31, 53, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(images / "good.png")
    whole = (images / "good.png").read_bytes()
    (images / "cut.png").write_bytes(whole[: len(whole) // 2])
    (images / "text.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    lines = []
    for number, (question, answer, image, _) in enumerate(ROWS):
        turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
        lines.append(json.dumps({"id": str(number), "conversations": turns, **({"image": image} if image else {})}))
    (folder / "spoilt.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "spoilt.jsonl"


def test_every_bad_row_is_named_before_anything_is_trained(
    start: Callable[..., Any], spoilt: Path, port: str, environment: dict[str, str]
) -> None:
    """On two ranks: both stop, none waits for the other."""
    data = "train_dataloader.dataset."
    options = {f"{data}format": "llava", f"{data}data_path": spoilt, f"{data}image_folder": spoilt.with_suffix("")}
    run = start(ALIGN, work="work_dirs/bad", options=options, env={"NPROC_PER_NODE": "2", "PORT": port}).end()
    wanted = {number: said for number, (*_, said) in enumerate(ROWS, start=1) if said}
    assert f"{len(wanted)} of {len(ROWS)} samples cannot be used" in run.log
    reported = dict(re.findall(rf"  {re.escape(str(spoilt))}:(\d+): (.*)", run.log))
    assert reported.keys() == {str(number) for number in wanted}
    assert [number for number, said in wanted.items() if said not in reported[str(number)]] == []
    assert "on_bad_sample" in run.log
    (report,) = (Path(environment["PATHPLUGINS_CACHE"]) / "xtuner_reports").iterdir()
    assert {json.loads(line)["row"] for line in report.read_text().splitlines()} == wanted.keys()
    assert "Iter(train)" not in run.log
    assert run.checkpoints() == set()


def refused(train_here: Callable[..., None], message: str, config: str, *words: object) -> None:
    work = Path(str(words[words.index("--work-dir") + 1]))
    with pytest.raises((PathPluginsError, ValueError), match=message):
        train_here(config, *words)
    assert list(work.glob("iter_*")) == []


@pytest.mark.parametrize(("options", "said"), [("ro", "file system is read-only"), ("size=4k", "disk is full")])
def test_a_work_dir_that_cannot_be_written(
    train_here: Callable[..., None], tmp_path: Path, options: str, said: str
) -> None:
    """Said before the model is loaded, though MMEngine could make the folders of its log on a disk that is full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk cannot be mounted here")
    try:
        if options != "ro":
            (disk / "large").write_bytes(bytes(4096))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pathplugins.xtuner.model._build", lambda _: pytest.fail("loads a model"))
            refused(train_here, f"disk: the {said}", ALIGN, "--work-dir", disk / "new" / "work")
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_misspelt_connector(train_here: Callable[..., None], folder: Path, tmp_path: Path) -> None:
    (folder / "misspelt.py").write_text(DERIVED.format(changes="mm_projector_type='scale_invarient'"))
    refused(train_here, "Did you mean 'scale_invariant'", "misspelt.py", "--work-dir", tmp_path)


def test_a_part_that_does_not_exist(train_here: Callable[..., None], folder: Path, tmp_path: Path) -> None:
    (folder / "unknown.py").write_text(DERIVED.format(changes="vision_towr='plip'"))
    refused(
        train_here,
        "vision_towr.*Did you mean .vision_tower.*the parts are the options of",
        "unknown.py",
        "--work-dir",
        tmp_path,
    )


def test_a_stage_1_that_is_missing(train_here: Callable[..., None], tmp_path: Path) -> None:
    words = ["--work-dir", tmp_path, "--cfg-options", "model.pretrained_pth=work/iter_9.pth"]
    refused(train_here, r"work/iter_9\.pth does not exist; give the iter_N", "pallava_smoke_tune.py", *words)


def test_a_stage_1_of_another_model(train_here: Callable[..., None], align: Any, tmp_path: Path) -> None:
    words = ["--work-dir", tmp_path, "--cfg-options", f"model.pretrained_pth={align.checkpoint(12)}"]
    message = r"iter_12\.pth does not fit this model: .*lora_A.* is \(16, \d+\), wanted \(4, \d+\)"
    refused(train_here, message, "pallava_smoke_tune.py", *words, "model.llm_lora.r=4")


def test_an_evaluation_image_that_is_missing(train_here: Callable[..., None], tmp_path: Path) -> None:
    words = ["--work-dir", tmp_path, "--cfg-options", "custom_hooks.0.evaluation_images=12.png"]
    refused(train_here, r"evaluation_images: 12\.png does not exist", ALIGN, *words)


def test_a_folder_made_with_another_tokenizer(
    train_here: Callable[..., None], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = build_tiny_llm(tmp_path / "llm", [PATCH_SYSTEM_PROMPT, "Quite other merges."], vocabulary=600)
    (folder / "other.py").write_text(DERIVED.format(changes=f"llm={str(llm)!r}"))
    monkeypatch.chdir(folder)
    assert main(["preprocess", "other.py", "--out", str(tmp_path / "texts")]) == 0
    data = "train_dataloader.dataset."
    options = [f"{data}data_path=None", f"{data}offline_processed_text_folder={tmp_path / 'texts'}"]
    words = ["--work-dir", tmp_path, "--cfg-options", *options]
    refused(train_here, "texts was made with another tokenizer.*run `pathplugins preprocess`", ALIGN, *words)
