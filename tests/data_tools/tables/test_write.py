from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import BadSamplesError
from pathplugins.data.formats.wsi_csv import read_wsi_csv
from pathplugins.data_tools.tables.bags_of_labels import Labelled
from pathplugins.data_tools.tables.labels import SlideLabel
from pathplugins.data_tools.tables.write import Wording, write_tables

CHOICES = ['ductal, "NST"', "lobular", "1"]


def slides(folder: Path, labels: list[str]) -> list[Labelled]:
    folder.mkdir()
    found = []
    for number, text in enumerate(labels):
        path = folder / f"{number:03}.h5"
        with h5py.File(path, "w") as file:
            file["features"], file["coords_yx"] = np.ones((2, 4)), np.zeros((2, 2), int)
        found.append(Labelled(path.stem, SlideLabel(number + 2, path.stem, text, {}), path))
    return found


def wording(choices: list[str]) -> Wording:
    return Wording(question="What is it?", choices=choices, name="tcga", seed=0)


@pytest.mark.parametrize("choices", [CHOICES, []], ids=["closed", "open"])
def test_every_row_trains(choices: list[str], tmp_path: Path) -> None:
    joined = slides(tmp_path / "bags", [CHOICES[number % 3] for number in range(9)])
    parts = np.array([[0, 0, 0, 0, 0, 1, 2, 2, 2]], np.int8)
    names = write_tables(joined, parts, wording(choices), tmp_path / "out" / "data")
    assert names == ["tcga_train", "tcga_valid", "tcga_test"]
    info = json.loads((tmp_path / "out" / "data" / "dataset_info.json").read_text())
    assert info["tcga_valid"] == {"file_name": "valid.csv", "formatting": "wsi_csv", "subset": "vqa"}
    seen = {}
    for name, count in (("train", 5), ("valid", 1), ("test", 3)):
        records, bad = read_wsi_csv(tmp_path / "out" / "data" / f"{name}.csv")
        assert (len(records), bad) == (count, [])
        seen |= {record.id: record for record in records}
    assert sorted(seen) == [slide.slide_id for slide in joined]
    for slide in joined:
        record = seen[slide.slide_id]
        assert Path(record.images[0]).samefile(slide.bag)
        question, answer = (turn.text for turn in record.conversations)
        assert all((choice in question) == bool(choices) for choice in CHOICES[:2])
        assert answer.endswith(slide.label.label)


def test_folds_have_folders_and_empty_parts_no_file(tmp_path: Path) -> None:
    joined = slides(tmp_path / "bags", ["a", "b"])
    names = write_tables(joined, np.array([[0, 2], [2, 0]], np.int8), wording([]), tmp_path / "out")
    assert names == ["tcga_fold0_train", "tcga_fold0_test", "tcga_fold1_train", "tcga_fold1_test"]
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.csv"))
    assert found == ["fold_0/test.csv", "fold_0/train.csv", "fold_1/test.csv", "fold_1/train.csv"]
    (record,), _ = read_wsi_csv(tmp_path / "out" / "fold_1" / "test.csv")
    assert Path(record.images[0]).samefile(joined[0].bag)


def test_a_label_that_cannot_be_trained_on_writes_nothing(tmp_path: Path) -> None:
    joined = slides(tmp_path / "bags", ["a", "<image>"])
    with pytest.raises(BadSamplesError, match=r"1 of 2 samples cannot be used: 1 x misplaced placeholder"):
        write_tables(joined, np.zeros((1, 2), np.int8), wording([]), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bags"]


def test_labels_that_are_letters_are_taught_as_they_are(tmp_path: Path) -> None:
    joined = slides(tmp_path / "bags", [*"ABCABCABC"])
    write_tables(joined, np.zeros((1, 9), np.int8), wording([*"ABC"]), tmp_path / "out")
    records, bad = read_wsi_csv(tmp_path / "out" / "train.csv")
    assert not bad
    answers = {record.id: record.conversations[1].text for record in records}
    assert {slide.slide_id: slide.label.label for slide in joined} == {i: a[-1] for i, a in answers.items()}
    assert len({*answers.values()}) > 3  # another order of the choices for each slide
