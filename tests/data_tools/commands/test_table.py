"""``pathdata table``, whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.data.formats.wsi_csv import read_wsi_csv

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """19 patients, up to three slides each, and their bags in ``bags``."""
    lines = ["slide_id,case,subtype"]
    (tmp_path / "bags").mkdir()
    for patient in range(19):
        for number in range(1 + patient % 3):
            slide = f"TCGA-AB-{patient:04}-01Z-00-DX{number + 1}.uu"
            lines.append(f"{slide}.svs,{patient},{('LUAD', 'LUSC')[patient % 2]}")
            with h5py.File(tmp_path / "bags" / f"{slide}.h5", "w") as file:
                file["features"], file["coords_yx"] = np.ones((2, 5)), np.zeros((2, 2), int)
                file.attrs.update(tool_version="1", encoder="uni", level0_mpp=0.5)
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(lines))
    return path


def test_labels_and_bags_become_tables_by_patient(labels: Path, tmp_path: Path, pathdata: Run) -> None:
    bags, out = tmp_path / "bags", tmp_path / "data"
    code, text = pathdata("table", labels, "--bags", bags, "--question", "Which one?", "--out", out)
    assert code == 0, text
    assert "in a YAML: dataset_dir" in text
    assert "warning" not in text
    patients = []
    for part in ("train", "valid", "test"):
        records, bad = read_wsi_csv(out / f"{part}.csv")
        assert not bad
        assert all("Which one?" in record.conversations[0].text for record in records)
        patients.append({record.id[:12] for record in records})
    assert sum(map(len, patients)) == len(set.union(*patients)) == 19
    assert pathdata("split", "--check", *(out / f"{part}.csv" for part in ("train", "valid", "test")))[0] == 0
    code, text = pathdata("table", labels, "--bags", bags, "--split", "slide", "--out", tmp_path / "slides")
    assert code == 0
    assert "to keep them apart pass --split patient" in text
    code, _ = pathdata(
        "table", labels, "--bags", bags, "--split", "none", "--choices", "none", "--out", tmp_path / "all"
    )
    assert [path.name for path in sorted((tmp_path / "all").iterdir())] == ["dataset_info.json", "train.csv"]


def test_what_does_not_match_is_one_report(labels: Path, tmp_path: Path, pathdata: Run) -> None:
    with labels.open("a") as stream:
        stream.write("\nnowhere.svs,1,LUAD\nTCGA-AB-0003-01Z-00-DX1.uu,2,LUAD\n,3,LUAD\n")
    (tmp_path / "bags" / "TCGA-AB-0000-01Z-00-DX1.uu.h5").rename(tmp_path / "bags" / "other.h5")
    words = ("table", labels, "--bags", tmp_path / "bags", "--out", tmp_path / "data")
    code, text = pathdata(*words)
    assert code == 1
    for part in ("2 labels without a bag", "nowhere (line", "1 bags without a label", "other.h5"):
        assert part in text
    for part in ("1 slides with several labels", "1 rows without slide or label", "pass --on-missing skip"):
        assert part in text
    assert not (tmp_path / "data").exists()
    code, text = pathdata(*words, "--on-missing", "skip")
    assert code == 0, text
    assert "35 slides, 2 labels; 5 faults left out" in text


def test_patients_of_other_ids_come_from_a_column(labels: Path, tmp_path: Path, pathdata: Run) -> None:
    labels.write_text(labels.read_text().replace("TCGA-AB", "x"))
    for bag in (tmp_path / "bags").iterdir():
        bag.rename(bag.with_name(bag.name.replace("TCGA-AB", "x")))
    words = ("table", labels, "--bags", tmp_path / "bags", "--out", tmp_path / "data")
    code, text = pathdata(*words)
    assert code == 1
    assert "37 slides without a patient (pass --group-column case," in text
    assert pathdata(*words, "--group-column", "case")[0] == 0
    assert "exists and is not an empty directory" in pathdata(*words, "--group-column", "case")[1]


def test_wrong_words_are_told(labels: Path, tmp_path: Path, pathdata: Run) -> None:
    words = ("table", labels, "--bags", tmp_path / "bags", "--out", tmp_path / "data")
    for more, message in (
        (["--question", " "], "--question is empty"),
        (["--split", "none", "--group-column", "case"], "--split none divides nothing"),
        (["--choices", "LUAD|SCLC"], "lacks the labels LUSC"),
        (["--folds", "2"], "two folds leave nothing to train on"),
        (["--group-column", "csae"], "did you mean case"),
    ):
        code, text = pathdata(*words, *more)
        assert code == 2, more
        assert message in text
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--question", "<image> What?"), "--question has <image>, which training adds itself"),
        (
            ("--choices", "LUAD,LUSC"),
            "--choices: choices are 'LUAD,LUSC', .* 'benign | malignant'; or pass auto or none",
        ),
    ],
)
def test_what_is_asked_wrongly(
    labels: Path, tmp_path: Path, pathdata: Run, words: tuple[str, str], message: str
) -> None:
    code, text = pathdata("table", labels, "--bags", tmp_path / "bags", *words, "--out", tmp_path / "out")
    assert code == 2
    assert all(part in text for part in message.split(" .* "))
