"""Data is checked before anything trains, all faults in one report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pathplugins.classify.drawn import draw_pcam200, draw_ptcga200, draw_segpanda200
from pathplugins.classify.options import ClassifyArguments
from pathplugins.classify.parts import Parts, read_parts
from pathplugins.core.errors import PathPluginsError


@pytest.fixture(scope="module")
def pcam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pcam200(tmp_path_factory.mktemp("p") / "PCam200", cases=(2, 1, 1), patches=2, side=16)


def parts(data: Path, **values: object) -> Parts:
    return read_parts(ClassifyArguments(**{"recipe": "supervised", "data": str(data), "encoder": "x", **values}))


def split(path: Path, **parts: list[str]) -> str:
    fold = {"train": [], "valid": [], "test": [], **parts}
    value = {"format": "pathplugins split 1", "by": "slide", "seed": 0, "source": "s", "folds": [fold]}
    path.write_text(json.dumps(value))
    return str(path)


def test_parts_are_those_of_the_folders_or_of_the_split(pcam: Path, tmp_path: Path) -> None:
    found = parts(pcam)
    assert {name: len(part) for name, part in found.named().items()} == {"train": 8, "valid": 4, "test": 4}
    names = list(found.whole.names)
    divided = parts(pcam, split=split(tmp_path / "f.json", train=names[:12], test=names[12:]), allow_shared_slides=True)
    assert {name: len(part) for name, part in divided.named().items()} == {"train": 12, "test": 4}
    assert divided.fingerprint() != found.fingerprint() == parts(pcam).fingerprint()


def test_a_set_without_parts_is_all_trained_on(tmp_path: Path) -> None:
    found = parts(draw_ptcga200(tmp_path / "PTCGA200", slides=1, patches=2, side=16))
    assert {name: len(part) for name, part in found.named().items()} == {"train": 6}


def test_slides_in_two_parts_are_named(pcam: Path, tmp_path: Path) -> None:
    names = list(parts(pcam).whole.names)
    file = split(tmp_path / "f.json", train=names[0::2], valid=names[1::2])
    with pytest.raises(PathPluginsError, match=r"train and valid share 8 slides: .*train_normal_000.* or set allow"):
        parts(pcam, split=file)
    assert len(parts(pcam, split=file, allow_shared_slides=True).train) == 8


def test_all_faults_are_in_one_report(pcam: Path, tmp_path: Path) -> None:
    whole = parts(pcam).whole
    normal = [name for name, label in zip(whole.names, whole.labels, strict=True) if label == 0]
    tumor = [name for name in whole.names if name not in normal]
    file = split(tmp_path / "f.json", train=normal[:3], valid=[*normal[3:], *tumor])
    with pytest.raises(PathPluginsError) as caught:
        parts(pcam, split=file)
    report = str(caught.value)
    assert "divided by" in report
    assert "train has one class alone, normal" in report
    assert "valid has classes that train lacks: tumor" in report
    assert "train and valid share 1 slides" in report


def test_labels_of_another_kind(pcam: Path, tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="its labels are classes, recipe segment wants masks; set recipe: super"):
        parts(pcam, recipe="segment")
    masks = draw_segpanda200(tmp_path / "SegPANDA200", cases=(1, 1, 1), patches=1, side=16)
    with pytest.raises(PathPluginsError, match="its labels are masks, recipe byol wants classes; set recipe: segment"):
        parts(masks, recipe="byol")
    assert len(parts(masks, recipe="segment").train) == 1
    next(masks.rglob("*_mask.png")).unlink()
    with pytest.raises(PathPluginsError, match="missing mask"):
        parts(masks, recipe="segment")


def test_no_train_part(pcam: Path, tmp_path: Path) -> None:
    shutil.copytree(pcam, tmp_path / "PCam200")
    shutil.rmtree(tmp_path / "PCam200" / "train")
    with pytest.raises(PathPluginsError, match="no pictures to train on, but 4 in test, 4 in valid; set split"):
        parts(tmp_path / "PCam200")


def test_slides_that_the_encoder_has_seen_are_warned_of(pcam: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = parts(pcam)
    found.warn_of_seen({"train_tumor_000", "", "elsewhere"}, "runs/one")
    assert not caplog.records
    found.warn_of_seen({"test_tumor_000"}, "runs/one")
    assert "encoder runs/one was trained on 1 slides of test (test_tumor_000)" in caplog.text
