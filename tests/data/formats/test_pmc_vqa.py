"""PMC-VQA (feature A3)."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.pmc_vqa import read_pmc_vqa

CHOICES = ["Choice A", "Choice B", "Choice C", "Choice D"]
HEADER = ["Figure_path", "Question", "Answer", *CHOICES, "Answer_label"]
TEXTS = [" A:E. coli ", "B: benign", "  C:  B cells", "D:none "]


def write(tmp_path: Path, *rows: list[str], header: list[str] = HEADER) -> Path:
    path = tmp_path / "train.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def test_a3_choices_lose_their_own_letters(tmp_path: Path) -> None:
    path = write(tmp_path, ["PMC1_f.1.jpg", " Which? ", " benign", *TEXTS, "B "])
    (record,), bad = read_pmc_vqa(path, media_dir=tmp_path / "figures")
    assert not bad
    assert record.id == "PMC1_f.1"
    assert record.images == (str(tmp_path / "figures/PMC1_f.1.jpg"),)
    assert record.conversations[0].text.split("\n") == [
        *("<image>", "Which?", "", "Choose one of these:", "A) E. coli", "B) benign", "C) B cells", "D) none")
    ]
    assert record.conversations[1].text == "B) benign"


@pytest.mark.parametrize(
    ("answer", "said"), [("C", "C) B cells"), ("D:none", "D) none"), ("Benign", "B) benign"), ("E. coli", "A) E. coli")]
)
def test_a3_without_labels(tmp_path: Path, answer: str, said: str) -> None:
    header = ["index", "Figure_path", "Question", *CHOICES, "Answer"]
    path = write(tmp_path, ["0", "f.jpg", "Which?", *TEXTS, answer], header=header)
    (record,), bad = read_pmc_vqa(path)
    assert not bad
    assert record.conversations[1].text == said


@pytest.mark.parametrize(("answer", "said"), [("A", "A) C"), ("C", "C) B"), ("B: A", "B) A"), ("d", "D) E")])
def test_version_2_answers_by_letter_also_where_choices_are_letters(tmp_path: Path, answer: str, said: str) -> None:
    header = ["index", "Figure_path", "Caption", "Question", *CHOICES, "Answer", "split"]
    row = ["0", "f.jpg", "", "Which panel?", " A: C", " B: A", " C: B", " D: E", answer, "train"]
    (record,), bad = read_pmc_vqa(write(tmp_path, row, header=header))
    assert not bad
    assert record.conversations[1].text == said


def test_a3_bad_rows(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        ["", "Q", "x", *TEXTS, "A"],
        ["f.jpg", "Q", "x", *TEXTS, "E"],
        ["f.jpg", "Q", "lymphocytes", *TEXTS, ""],
        ["f.jpg", "Q", "x", "A: yes", " ", "C: no", "", "A"],
        ["f.jpg", "Q", "x", "A: yes", "B: no", "", " ", "C"],
        ["f.jpg", "Q <image>", "x", *TEXTS, "A"],
        ["f.jpg", "Q", "x", "A: yes", "B: no", "", " ", "B"],
    )
    records, bad = read_pmc_vqa(path)
    assert [(record.row, record.conversations[1].text) for record in records] == [(8, "B) no")]
    assert [(sample.row, sample.reason) for sample in bad] == [
        (2, "no question"),
        (3, "answer not among choices"),
        (4, "answer not among choices"),
        (5, "unreadable choices"),
        (6, "answer not among choices"),
        (7, "misplaced placeholder"),
    ]
    with pytest.raises(PathPluginsError, match="has neither Answer_label nor Answer"):
        read_pmc_vqa(write(tmp_path, ["f.jpg", "Q", *TEXTS], header=["Figure_path", "Question", *CHOICES]))
    with pytest.raises(PathPluginsError, match="lacks the columns Choice D"):
        read_pmc_vqa(write(tmp_path, ["f.jpg"], header=["Figure_path", "Question", *CHOICES[:3]]))


def test_rows_of_quilt_and_its_words(tmp_path: Path) -> None:
    """Choices with the letters that the table gives them, without the blanks around them."""
    header = ["Figure_path", "Question", "Caption", *CHOICES, "Answer", "in_quilt"]
    rows = [["f.jpg", "Which? ", "", *TEXTS, "B", "True"], ["g.jpg", " Which? ", "", *TEXTS, "D", "False"]]
    path = write(tmp_path, *rows, header=header)
    (record,), bad = read_pmc_vqa(path, in_quilt=False, published_prompt=True)
    assert not bad
    assert record.images[0].endswith("g.jpg")
    assert record.conversations[0].text == (
        "<image>\nWhich?\nA:E. coli\nB: benign\nC:  B cells\nD:none\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert record.conversations[1].text == "D"
    assert [one.images[0][-5:] for one in read_pmc_vqa(path, in_quilt=True)[0]] == ["f.jpg"]
    assert len(read_pmc_vqa(path)[0]) == 2
    with pytest.raises(PathPluginsError, match="in_quilt is 'no', expected true or false"):
        read_pmc_vqa(path, in_quilt="no")
    with pytest.raises(PathPluginsError, match="lacks the columns in_quilt"):
        read_pmc_vqa(write(tmp_path, ["f.jpg", "Q", "B", *TEXTS, "B"]), in_quilt=False)
    path = write(tmp_path, rows[0], header=header)
    with pytest.raises(PathPluginsError, match=r"no row has in_quilt 'False'; found True \(1\); leave in_quilt out"):
        read_pmc_vqa(path, in_quilt=False)
