"""A folder of tasks: what leaks between them, and the split that moves it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pathplugins.data.formats.wsi_bench import read_wsi_bench

Run = Callable[..., tuple[int, str]]
FILES = {
    "1_Report_train": ["a", "b"],
    "1_Report_test": ["c", "d", "e"],
    "Staging_train": ["c", "d", "a", "c", "f"],
    "Staging_test": ["b"],
    "Prognosis_TF_question_train": ["e"],
    "Prognosis_TF_question_test": ["g"],
}


def slide(letter: str) -> str:
    return f"TCGA-AA-000{'abcdefg'.index(letter)}-01Z-00-DX1"


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    for name, letters in FILES.items():
        samples = [
            {
                "id": f"{slide(letter)}.uuid-{number}",
                "image": f"TCGA-COAD/{slide(letter)}.uuid.pt",
                "conversations": [
                    {"from": "human", "value": "<image>\nWhat?"},
                    {"from": "gpt", "value": f"Größe {number}"},
                ],
            }
            for number, letter in enumerate(letters)
        ]
        (folder / f"{name}.json").write_text(json.dumps(samples, ensure_ascii=False))
    (folder / "README.json").write_text("not a task")
    return folder


def slides_in(path: Path) -> list[str]:
    return [sample["image"].split("/")[1][: len(slide("a"))] for sample in json.loads(path.read_text())]


def test_the_check_says_which_test_files_leak_and_where(tasks: Path, pathdata: Run) -> None:
    code, said = pathdata("split", "--check", tasks, "--by", "slide")
    assert code == 1
    assert said.splitlines()[:3] == [
        "1_Report_test.json: 3 of its 3 slides are trained on, 0 in its own task, 3 in others "
        "(Prognosis_TF_question_train.json, Staging_train.json)",
        "Staging_test.json: 1 of its 1 slides are trained on, 0 in its own task, 1 in others (1_Report_train.json)",
        "all tasks: 4 of 5 tested slides are trained on",
    ]


def test_what_leaks_is_moved_and_the_test_files_stay(tasks: Path, tmp_path: Path, pathdata: Run) -> None:
    out = tmp_path / "apart"
    code, said = pathdata("split", tasks, "--by", "slide", "--out", out)
    assert code == 0, said
    assert "moved 5 of 8 training samples, of 4 of the 5 tested slides and of 3 files" in " ".join(said.split())
    for name in FILES:
        if name.endswith("_test"):
            assert (out / f"{name}.json").read_bytes() == (tasks / f"{name}.json").read_bytes()
    assert slides_in(out / "1_Report_train.json") == [slide("a")]
    assert slides_in(out / "Staging_train.json") == [slide("a"), slide("f")]
    assert not (out / "Prognosis_TF_question_train.json").exists()  # nothing is left of it
    assert slides_in(out / "moved" / "Staging_test.json") == [slide("c"), slide("d"), slide("c")]
    assert slides_in(out / "moved" / "Prognosis_TF_question_test.json") == [slide("e")]
    moved, bad = read_wsi_bench(out / "moved", split="test")
    assert (len(moved), len(bad)) == (5, 0)
    assert pathdata("split", "--check", out, "--by", "slide")[0] == 0


def test_what_means_nothing_here_is_refused(tasks: Path, tmp_path: Path, pathdata: Run) -> None:
    code, said = pathdata("split", tasks, "--by", "slide", "--folds", 3, "--out", tmp_path / "out")
    assert code == 2
    assert "leave shares, folds" in said
    for path in tasks.glob("*_test.json"):
        path.unlink()
    code, said = pathdata("split", tasks, "--by", "slide", "--out", tmp_path / "out")
    assert code == 2
    assert "wanted train and test files" in said
    assert not (tmp_path / "out").exists()


def test_rows_without_a_slide_are_named(tasks: Path, tmp_path: Path, pathdata: Run) -> None:
    path = tasks / "Staging_train.json"
    path.write_text(json.dumps([{"id": "x", "conversations": []}, *json.loads(path.read_text())]))
    code, said = pathdata("split", tasks, "--by", "slide", "--out", tmp_path / "out")
    assert code == 1
    assert "no slide" in said
    assert not (tmp_path / "out").exists()
    code, said = pathdata("split", tasks, "--by", "slide", "--on-ungrouped", "skip", "--out", tmp_path / "out")
    assert code == 0
    assert json.loads((tmp_path / "out" / "Staging_train.json").read_text())[0] == {"id": "x", "conversations": []}
