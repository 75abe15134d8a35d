"""Slide tables (features W2, W3, W6, W12 to W18)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats import FORMATS
from pathplugins.data.formats.wsi_csv import read_wsi_csv
from pathplugins.data.prompts import CAPTION_QUESTIONS, PATHTEXT_STYLE, REPORT_REQUEST, caption_question
from pathplugins.data.records import check_record

STANDARD = ["h5_path", "caption", "question", "answer", "slide_id", "dataset"]
GOOD = {
    "h5_path": "bags/a.h5",
    "caption": "A report, with a comma.",
    "question": "Which type?",
    "answer": "Ductal.",
    "slide_id": "S1",
    "dataset": "BRCA",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place in ("bags/a.h5", "media/b.h5"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(b"")  # reading the bag is check_bag's work
    return tmp_path


def write(folder: Path, rows: list[dict[str, Any]], *, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """A table with the standard columns, and more if a row has them."""
    path = folder / "table.csv"
    columns = list(dict.fromkeys([*STANDARD, *(name for row in rows for name in row)]))
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.DictWriter(stream, columns, restval="", delimiter=delimiter)
        writer.writeheader()
        writer.writerows({**GOOD, **row} for row in rows)
    return path


def texts(path: Path, **options: Any) -> tuple[str, str]:
    """User and assistant text of the only record."""
    (record,), bad = read_wsi_csv(path, **options)
    assert not bad
    assert check_record(record) is None
    return record.conversations[0].text, record.conversations[1].text


def reasons(path: Path, **options: Any) -> list[tuple[int | None, str]]:
    return [(sample.row, sample.reason) for sample in read_wsi_csv(path, **options)[1]]


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_w2_standard_table(folder: Path, delimiter: str, encoding: str) -> None:
    rows = [{}, {"slide_id": "S2", "caption": "grün\nzweite\tZeile", "question": "", "answer": ""}, {"slide_id": "S3"}]
    path = write(folder, rows, delimiter=delimiter, encoding=encoding)
    records, bad = read_wsi_csv(path)
    assert not bad
    assert [record.id for record in records] == ["S1", "S2", "S3"]
    assert [record.row for record in records] == [2, 3, 5]  # the second row is two lines long
    assert records[0].images == (str(folder / "bags/a.h5"),)
    assert records[0].meta == {"slide_id": "S1", "dataset": "BRCA"}
    assert records[0].source == str(path)
    assert records[0].conversations == (("user", "<image>\nWhich type?"), ("assistant", "Ductal."))
    assert records[1].conversations[1].text == "grün\nzweite\tZeile"


def test_w2_cells_stay_text(folder: Path) -> None:
    for text in ("NA", "None", "1", "1.0", "nan", "True", "null"):
        path = write(folder, [{"answer": text, "slide_id": text}])
        assert texts(path)[1] == text
        assert read_wsi_csv(path)[0][0].id == text


def test_w2_header_whitespace_and_blank_lines(folder: Path) -> None:
    path = folder / "t.csv"
    path.write_text(
        ' h5_path ,question,\tanswer," slide_id "\r\n\r\nbags/a.h5, Q ,A,S1\r\n,,,\r\n\r\nbags/a.h5,Q,A,S2\r\n',
        newline="",
    )
    records, bad = read_wsi_csv(path)
    assert not bad
    assert [(record.id, record.row) for record in records] == [("S1", 3), ("S2", 6)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected a header"),
        ("\ufeff", "is empty; expected a header"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git-LFS pointer.*git lfs pull"),
        ("h5_path,slide_id,question,answer\n", "has a header and no rows"),
        ("h5_path,slide_id,question,answer\n\n , ,,\n", "has a header and no rows"),
        ("h5_path,caption\na,b\n", r"lacks the columns slide_id for mode 'vqa'; it has h5_path, caption"),
        ("slide_id,caption\na,b\n", "lacks the columns h5_path"),
        ("h5_path,slide_id,question,caption\na,b,c,d\n", "lacks the columns answer"),
        ("h5_path,slide_id\na,b\n", "lacks the columns caption"),
        ("h5_path;slide_id;caption\na;b;c\n", "separated by commas or tabs"),
        ("h5_path,slide_id,caption,h5_path\na,b,c,d\n", "more than one column h5_path"),
        ('h5_path,"slide_id\na,b\n', "table.csv:1 is not readable as CSV"),
        (b"h5_path,caption,slide_id\na,b\xe9,c\n", "table.csv:2 is not UTF-8.*save the file as UTF-8"),
    ],
)
def test_w2_unusable_tables(folder: Path, content: str | bytes, message: str) -> None:
    path = folder / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PathPluginsError, match=message) as caught:
        read_wsi_csv(path)
    assert str(path) in str(caught.value)


def test_w2_no_table_and_no_such_mode(folder: Path) -> None:
    with pytest.raises(PathPluginsError, match=r"nothing\.csv: no such file"):
        read_wsi_csv(folder / "nothing.csv")
    with pytest.raises(PathPluginsError, match="mode is 'chat', expected 'report' or 'vqa'"):
        read_wsi_csv(write(folder, [{}]), mode="chat")  # type: ignore[arg-type]
    path = folder / "t.csv"
    path.write_text("h5_path,slide_id,question,answer\na,b,c,d\n")
    with pytest.raises(PathPluginsError, match="lacks the columns caption for mode 'report'"):
        read_wsi_csv(path, mode="report")


def test_w2_all_bad_rows_at_once(folder: Path) -> None:
    path = folder / "t.csv"
    lines = [
        "h5_path,slide_id,question,answer",
        "bags/a.h5,S1,Q,A",
        "bags/a.h5,S2,Q,A,with a comma",
        "bags/a.h5,S3,Q",
        'bags/a.h5,S4,"Q"x,A',
        "bags/a.h5,,Q,A",
        ",S6,Q,A",
        "bags/gone.h5,S7,Q,A",
        "bags/a.h5,S8,Q,",
        "bags/a.h5,S9,,A",
        "bags/a.h5,S10,,",
        "bags/a.h5,S11,Is <image> here?,A",
        "bags/a.h5,S12,Q,<image>",
        "bags/a.h5,S13,Q,A",
        'bags/a.h5,S14,"Q,A',
    ]
    path.write_text("\n".join(lines))
    records, bad = read_wsi_csv(path)
    assert [record.id for record in records] == ["S1", "S13"]
    assert [(sample.row, sample.reason) for sample in bad] == [
        (3, "ragged row"),
        (4, "ragged row"),
        (5, "malformed row"),
        (6, "no slide_id"),
        (7, "no h5_path"),
        (8, "missing file"),
        (9, "no answer"),
        (10, "no question"),
        (11, "no text"),
        (12, "misplaced placeholder"),
        (13, "misplaced placeholder"),
        (15, "malformed row"),
    ]
    assert bad[0].detail.startswith("5 fields, the header has 4")
    assert all(sample.source == str(path) for sample in bad)


def test_w3_pathtext_table(folder: Path) -> None:
    path = folder / "t.csv"
    path.write_text("filepath,title,subset\nb.h5,Report one.,BRCA\nb.h5,Report two.,\nc/TCGA.1.h5,Three.,X\n")
    records, bad = read_wsi_csv(path, media_dir=folder / "media")
    assert [record.meta for record in records] == [
        {"slide_id": "b", "dataset": "BRCA", "data_source": "PathText"},
        {"slide_id": "b", "dataset": "PathText", "data_source": "PathText"},
    ]
    assert [record.id for record in records] == ["b#2", "b#3"]
    assert records[0].images == (str(folder / "media/b.h5"),)
    assert records[0].conversations[1].text == "Report one."
    user = records[0].conversations[0].text
    assert user == "\n".join(["<image>", caption_question("b"), "", *PATHTEXT_STYLE])
    assert [(sample.row, sample.reason) for sample in bad] == [(4, "missing file")]
    assert len(read_wsi_csv(path, data_source="pathtext", media_dir=folder / "media")[0]) == 2


def test_w3_w6_where_bags_are_looked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "media/bags").mkdir()
    (folder / "media/bags/a.h5").write_bytes(b"")
    path = write(folder, [{}])
    assert read_wsi_csv(path)[0][0].images == (str(folder / "bags/a.h5"),)
    assert read_wsi_csv(path, media_dir=folder / "media")[0][0].images == (str(folder / "media/bags/a.h5"),)
    assert read_wsi_csv(path, media_dir=folder / "nowhere")[0][0].images == (str(folder / "bags/a.h5"),)
    monkeypatch.chdir(folder)
    assert read_wsi_csv("table.csv", media_dir="media")[0][0].images == (str(folder / "media/bags/a.h5"),)

    path = write(folder, [{"h5_path": "gone.h5"}, {"h5_path": str(folder / "gone.h5")}, {"h5_path": "bags"}])
    records, bad = read_wsi_csv(path, media_dir=folder / "media")
    assert not records
    assert [sample.reason for sample in bad] == ["missing file"] * 3
    assert bad[0].detail.startswith(f"no bag at {folder / 'media/gone.h5'} or {folder / 'gone.h5'};")
    assert bad[1].detail.startswith(f"no bag at {folder / 'gone.h5'};")
    path = write(folder, [{"h5_path": str(folder / "media/b.h5")}])
    assert read_wsi_csv(path, media_dir="bags")[0][0].images == (str(folder / "media/b.h5"),)


def test_several_bags_of_a_case(folder: Path) -> None:
    path = write(folder, [{"h5_path": "bags/a.h5; media/b.h5"}])
    (record,), bad = read_wsi_csv(path)
    assert not bad
    assert record.images == (str(folder / "bags/a.h5"), str(folder / "media/b.h5"))
    assert record.conversations[0].text == "<image><image>\nWhich type?"
    assert check_record(record) is None
    assert read_wsi_csv(path, mode="report")[0][0].images == record.images
    cells = ["bags/a.h5;", "bags/a.h5;bags/a.h5", "bags/a.h5;gone.h5"]
    path = write(folder, [{"h5_path": cell} for cell in cells])
    assert reasons(path) == [(2, "no h5_path"), (3, "repeated bag"), (4, "missing file")]


def test_w12_report_mode(folder: Path) -> None:
    assert texts(write(folder, [{}]), mode="report") == (f"<image>\n{REPORT_REQUEST}", GOOD["caption"])
    path = write(folder, [{"data_source": "PathText", "choices": "nonsense"}])
    assert texts(path, mode="report")[0] == f"<image>\n{REPORT_REQUEST}"
    assert reasons(write(folder, [{}, {"caption": " "}]), mode="report") == [(3, "no caption")]


def test_w13_question_from_the_caption(folder: Path) -> None:
    path = write(folder, [{"slide_id": f"S{n}", "question": "", "answer": ""} for n in range(200)])
    records, bad = read_wsi_csv(path)
    assert not bad
    asked = [record.conversations[0].text.removeprefix("<image>\n") for record in records]
    assert asked == [caption_question(record.id) for record in records]
    assert len(set(asked)) > len(CAPTION_QUESTIONS) / 2
    assert {record.conversations[1].text for record in records} == {GOOD["caption"]}


def test_w14_choices(folder: Path) -> None:
    user, answer = texts(write(folder, [{"choices": "['ductal', 'lobular']", "answer": "Lobular"}]))
    assert user.split("\n") == ["<image>", "Which type?", "", "Choose one of these:", "A) ductal", "B) lobular"]
    assert answer == "B) lobular"
    many = "|".join(f"choice {n}" for n in range(28))
    user, answer = texts(write(folder, [{"choices": many, "answer": "choice 27"}]))
    assert user.endswith("Z) choice 25\nAA) choice 26\nAB) choice 27")
    assert answer == "AB) choice 27"
    assert texts(write(folder, [{"choices": "[]"}]))[1] == "Ductal."
    rows = [
        {"choices": "a|b", "answer": "mixed"},
        {"choices": "['a', ", "answer": "a"},
        {"choices": "['<image>', 'b']"},
    ]
    rows[2]["answer"] = "b"
    assert reasons(write(folder, rows)) == [
        (2, "answer not among choices"),
        (3, "unreadable choices"),
        (4, "misplaced placeholder"),
    ]


def test_w15_style_follows_the_filter_in_ignoring_case(folder: Path) -> None:
    path = write(folder, [{"data_source": "PATHTEXT", "slide_id": "S1"}, {"data_source": "WSI-VQA", "slide_id": "S2"}])
    assert texts(path, data_source="PathText")[0] == "\n".join(["<image>", "Which type?", "", *PATHTEXT_STYLE])
    assert texts(path, data_source="wsi-vqa")[0] == "<image>\nWhich type?"


def test_w16_data_source_filter_errors(folder: Path) -> None:
    with pytest.raises(PathPluginsError, match=r"table\.csv has no data_source column .*h5_path, caption.*remove"):
        read_wsi_csv(write(folder, [{}]), data_source="PathText")
    path = write(folder, [{"data_source": "x"}, {"data_source": ""}, {"data_source": "x"}])
    with pytest.raises(PathPluginsError, match=r"no row has data_source 'y'; found x \(2\), \(empty\) \(1\)"):
        read_wsi_csv(path, data_source="y")


def test_w17_split(folder: Path) -> None:
    splits = ["train", "val", "Train", "test", "train "]
    path = write(folder, [{"slide_id": f"S{n}", "split": split} for n, split in enumerate(splits)])
    assert [record.id for record in read_wsi_csv(path)[0]] == ["S0", "S2", "S4"]
    assert [record.id for record in read_wsi_csv(path, split="val")[0]] == ["S1"]
    assert [record.id for record in read_wsi_csv(path, split="test")[0]] == ["S3"]
    assert len(read_wsi_csv(path, split=None)[0]) == 5
    with pytest.raises(
        PathPluginsError, match=r'split \'dev\'; found train \(2\), val \(1\).*set "split".*dataset_info'
    ):
        read_wsi_csv(path, split="dev")
    assert len(read_wsi_csv(write(folder, [{}]), split="val")[0]) == 1  # no split column: all rows


def test_w17_rows_of_other_splits_are_not_judged(folder: Path) -> None:
    path = write(folder, [{"split": "train"}, {"split": "val", "answer": ""}])
    assert reasons(path) == []
    assert reasons(path, split="val") == [(3, "no answer")]


def test_w18_no_label_is_made_up(folder: Path) -> None:
    rows = [{"caption": "", "question": "", "answer": ""}, {"answer": ""}, {"question": ""}, {"answer": "  "}]
    records, bad = read_wsi_csv(write(folder, rows))
    assert not records
    assert [sample.reason for sample in bad] == ["no text", "no answer", "no question", "no answer"]


def test_ids_are_unique_and_do_not_depend_on_the_split(folder: Path) -> None:
    slides = ["S", "T", "S", "S#2", "S"]
    splits = ["train", "train", "val", "train", "train"]
    path = write(folder, [{"slide_id": s, "split": split} for s, split in zip(slides, splits, strict=True)])
    everything = {record.row: record.id for record in read_wsi_csv(path, split=None)[0]}
    assert everything == {2: "S#2", 3: "T", 4: "S#4", 5: "S#2#5", 6: "S#6"}
    for split in ("train", "val"):
        assert all(everything[record.row] == record.id for record in read_wsi_csv(path, split=split)[0])


def test_the_format_is_found_by_name() -> None:
    assert FORMATS.get("wsi_csv") is read_wsi_csv
