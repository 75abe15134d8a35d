"""Evaluation sets: their format, by name or by what they hold, their texts and images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.cleaning.examined import format_and_path, read_examined

QUESTION = "What is present in the upper part of this field?"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    asked = {"q1": {"image": "img_0001", "question": QUESTION, "answer": "yes"}, "q2": {"image": "x", "question": ""}}
    (tmp_path / "vqa.json").write_text(json.dumps(asked))
    table = "Figure_path,Question,Choice A,Choice B,Choice C,Choice D,Answer,Answer_label\n"
    (tmp_path / "pmc.csv").write_text(f"{table}PMC1_f.jpg,{QUESTION[:-1]} now?,A: a,B: b,C: c,D: d,A,A\n")
    (tmp_path / "pairs.jsonl").write_text('{"image": "p.png", "caption": "one two three four five"}\n')
    (tmp_path / "other.json").write_text('[{"picture": "p.png"}]')
    return {name: str(tmp_path / name) for name in ("vqa.json", "pmc.csv", "pairs.jsonl", "other.json")}


def test_formats_show_or_are_named(files: dict[str, str]) -> None:
    shown = {name: format_and_path(path)[0] for name, path in files.items() if name != "other.json"}
    assert shown == {"vqa.json": "path_vqa", "pmc.csv": "pmc_vqa", "pairs.jsonl": "pallava_captions"}
    assert format_and_path(f"quilt-vqa:{files['vqa.json']}") == ("quilt_vqa", Path(files["vqa.json"]))
    with pytest.raises(PathPluginsError, match=r"its format does not show, it has picture; give FORMAT:"):
        format_and_path(files["other.json"])
    for name in ("nowhere.json", "path-vqa:nowhere.json"):
        with pytest.raises(PathPluginsError, match=f"--against {name}: no such file"):
            format_and_path(name)


def test_texts_images_and_bad_rows(files: dict[str, str], tmp_path: Path) -> None:
    found = read_examined([files["vqa.json"], files["pmc.csv"], files["pairs.jsonl"]], tmp_path / "images")
    assert found.texts[QUESTION] == "vqa.json:1"
    assert found.texts[f"{QUESTION[:-1]} now?"] == "pmc.csv:2"
    assert found.texts["one two three four five"] == "pairs.jsonl:1"
    assert "yes" not in found.texts
    assert found.names == {"img_0001.jpg": "vqa.json:1", "PMC1_f.jpg": "pmc.csv:2", "p.png": "pairs.jsonl:1"}
    assert {Path(file).name for file in found.files} == {"img_0001.jpg", "PMC1_f.jpg", "p.png"}
    assert found.bad == {"vqa.json": 1}
