"""HISTAI-Instruct: a record per slide and attribute, or or of the attributes asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.histai_instruct import read_histai_instruct


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]


SLIDES: dict[str, Any] = {
    "case_2_HE": {
        "short_vqa": turns("Organ?", "Skin.", "Stain?", "H&E.", "Type?", "Benign."),
        "clean_report": turns("Report?", "A naevus."),
    },
    "case_1_HE": {"clean_report": [{"role": "system", "content": "Be brief."}, *turns("Report?", "Normal.")]},
}


def write(path: Path, slides: dict[str, Any] = SLIDES) -> Path:
    with h5py.File(path, "w") as file:
        for slide, texts in slides.items():
            file[f"embeddings/{slide}/features"] = np.ones((3, 4), np.float32)
            file[f"text_attributes/{slide}"] = texts if isinstance(texts, str) else json.dumps(texts)
    return path


def test_every_attribute_is_a_record(tmp_path: Path) -> None:
    records, bad = read_histai_instruct(write(tmp_path / "train.h5"), media_dir=tmp_path / "bags")
    assert not bad
    assert [record.id for record in records] == [
        *("case_1_HE/clean_report", "case_2_HE/short_vqa", "case_2_HE/clean_report"),
    ]
    assert len({record.row for record in records}) == 3
    report, vqa, _ = records
    assert report.conversations == (*(("system", "Be brief."), ("user", "<image>\nReport?"), ("assistant", "Normal.")),)
    assert [turn.text for turn in vqa.conversations[::2]] == ["<image>\nOrgan?", "Stain?", "Type?"]
    assert vqa.images == (str(tmp_path / "bags/case_2_HE.h5"),)
    assert vqa.meta == {"slide": "case_2_HE", "attribute": "short_vqa"}


@pytest.mark.parametrize("subset", ["short_vqa, clean_report", ["short_vqa", "clean_report"]], ids=str)
def test_attributes_are_kept_by_name(tmp_path: Path, subset: Any) -> None:
    file = write(tmp_path / "train.h5")
    assert len(read_histai_instruct(file, subset=subset)[0]) == 3
    assert [r.id for r in read_histai_instruct(file, subset="short_vqa")[0]] == ["case_2_HE/short_vqa"]
    with pytest.raises(PathPluginsError, match=r"no slide has the attributes short_qa; .*clean_report, short_vqa"):
        read_histai_instruct(file, subset="short_qa")


def test_bad_conversations_are_told_and_leave_the_others_alone(tmp_path: Path) -> None:
    slides = {
        "a": "{",
        "b": {"odd": turns("One?"), "said": [{"role": "user"}], "good": turns("One?", "Yes.")},
        "c": {"placed": turns("<image> One?", "Yes.")},
        "d": [],
    }
    records, bad = read_histai_instruct(write(tmp_path / "train.h5", slides))
    assert [record.id for record in records] == ["b/good"]
    assert [sample.reason for sample in bad] == [
        *("no JSON", "roles do not alternate", "malformed turn", "misplaced placeholder", "no conversation"),
    ]
    assert records[0].row not in {sample.row for sample in bad}
    assert "b, odd: roles are ['user']" in bad[1].detail


def test_a_file_of_something_else_says_what_it_holds(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bag.h5", "w") as file:
        file["features"] = np.ones((2, 3))
    with pytest.raises(PathPluginsError, match="holds features; expected the group text_attributes"):
        read_histai_instruct(tmp_path / "bag.h5")
