"""Output formats: what each writes, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.wsi_csv import read_wsi_csv
from pathplugins.data.prompts import PATHTEXT_STYLE, REPORT_REQUEST
from pathplugins.data.records import Record, Turn
from pathplugins.data_tools.records.writers import WRITERS
from pathplugins.data_tools.records.writers.sharegpt import entry_of
from pathplugins.data_tools.records.writers.target import _compact

ASK, SAY = Turn("user", "<image>\nWhat, then?"), Turn("assistant", "Größer.")


def record(*turns: Turn, images: tuple[str, ...] = ("x/a.h5",), **meta: str) -> Record:
    return Record(id="a", conversations=turns or (ASK, SAY), images=images, meta=meta, source="s.json", row=7)


def row(name: str, one: Record, out: str = "o.json") -> object:
    return WRITERS.get(name).rows(Path(out))(one)


TALK = [{"from": "human", "value": ASK.text}, {"from": "gpt", "value": SAY.text}]


def test_rows() -> None:
    assert row("llava", record()) == {"id": "a", "image": "x/a.h5", "conversations": TALK}
    assert row("xtuner", record(images=("a", "b"))) == {"id": "a", "image": ["a", "b"], "conversations": TALK}
    assert row("sharegpt", record()) == {"id": "a", "conversations": TALK, "images": ["x/a.h5"]}
    text = record(Turn("user", "?"), SAY, images=())
    assert "image" not in row("llava", text)  # type: ignore[operator]
    assert row("sharegpt", text)["images"] == []  # type: ignore[index]
    assert row("slidechat", record(images=("a.csv",))) == {"id": "a", "image": ["a.csv"], "conversations": TALK}
    bench = record(images=("a.pt",), metadata="Stage")
    assert row("wsi_bench", bench) == {"id": "a", "image": "a.pt", "conversations": TALK, "metadata": "Stage"}
    assert row("wsi_bench", bench, "o.jsonl") == {
        **{"question_id": "a", "image": "a.pt", "question": "What, then?"},
        **{"T-answer": "Größer.", "metadata": "Stage"},
    }
    assert row("record", record(k="v")) == {
        "id": "a",
        "conversations": [{"role": "user", "text": ASK.text}, {"role": "assistant", "text": SAY.text}],
        "images": ["x/a.h5"],
        "meta": {"k": "v"},
        "source": "s.json",
        "row": 7,
    }


def table(tmp_path: Path, *records: Record) -> Path:
    target, out = WRITERS.get("wsi_csv"), tmp_path / "t.csv"
    make, sink = target.rows(out), target.sink(out)
    out.write_bytes(sink.start + sink.encode([make(one) for one in records]))
    return out


def test_a_slide_table(tmp_path: Path) -> None:
    styled = Turn("user", "\n".join(("<image>\nWhy?\n", *PATHTEXT_STYLE)))
    report = record(Turn("user", f"<image>\n{REPORT_REQUEST}"), SAY, slide_id="S", data_source="PathText")
    path = table(tmp_path, record(), record(styled, SAY, data_source="PathText", dataset="D"), report)
    header, *rows = csv.reader(io.StringIO(path.read_text(), newline=""))
    assert header == ["h5_path", "caption", "question", "answer", "slide_id", "dataset", "data_source"]
    assert rows[0] == ["x/a.h5", "", "What, then?", "Größer.", "a", "", ""]
    assert rows[1][2:] == ["Why?", "Größer.", "a", "D", "PathText"]
    assert rows[2] == ["x/a.h5", "Größer.", "", "", "S", "", "PathText"]
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.h5").touch()
    records, bad = read_wsi_csv(path)
    assert not bad
    assert [r.conversations for r in records[:2]] == [(ASK, SAY), (styled, SAY)]
    assert read_wsi_csv(path, mode="report")[0][-1].conversations == report.conversations


@pytest.mark.parametrize(
    ("name", "one", "out", "message"),
    [
        ("wsi_csv", record(images=("a.csv",)), "o.csv", r"is no \.h5; pass --image-suffix \.h5"),
        ("wsi_csv", record(ASK, SAY, Turn("user", "And?"), SAY), "o.csv", "4 turns; a slide table holds one question"),
        ("wsi_csv", record(Turn("user", "What?\n<image>"), SAY), "o.csv", "does not stand on a line before"),
        ("wsi_csv", record(Turn("user", "?"), SAY, images=()), "o.csv", "0 images"),
        ("wsi_csv", record(Turn("user", "<image>\n "), SAY), "o.csv", "no question"),
        ("wsi_csv", record(ASK, Turn("assistant", "a\0b")), "o.csv", "a null character"),
        ("wsi_csv", record(ASK, Turn("assistant", "x" * 131_073)), "o.csv", "more than 131072 characters"),
        ("wsi_csv", record(data_source="pathtext"), "o.csv", "adds lines to a question"),
        ("slidechat", record(), "o.json", r"is no \.csv; pass --image-suffix \.csv"),
        ("slidechat", record(Turn("system", "S"), ASK, SAY, images=("a.csv",)), "o.json", "a system turn; SlideChat"),
        ("wsi_bench", record(images=("a.pt", "b.pt")), "o.json", "2 images; WSI-Bench holds one"),
        ("wsi_bench", record(Turn("system", "S"), ASK, SAY, images=("a.pt",)), "o.json", "a system turn"),
        ("wsi_bench", record(Turn("user", "<image>\n"), SAY, images=("a.pt",)), "o.jsonl", "no question"),
    ],
)
def test_what_is_refused(name: str, one: Record, out: str, message: str) -> None:
    from pathplugins.data_tools.records.writers.target import NotHeldError

    with pytest.raises(NotHeldError, match=message):
        row(name, one, out)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.dictionaries(st.text(), st.text() | st.lists(st.text()) | st.integers(-(2**60), 2**60)))
def test_both_encoders_give_the_same_bytes(value: dict[str, object]) -> None:
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        expected = plain.encode()
    except UnicodeEncodeError:
        return  # half a character: readers refuse it
    assert _compact(value) == expected


def test_the_entry_of_llama_factory(tmp_path: Path) -> None:
    beside, out, info = WRITERS.get("sharegpt").beside, tmp_path / "train.json", tmp_path / "dataset_info.json"
    entry = {"file_name": "train.json", "formatting": "sharegpt"}
    columns = {"messages": "conversations", "images": "images"}
    beside(out, False)()
    assert json.loads(info.read_text()) == {"train": {**entry, "columns": columns}}
    beside(out, False)()  # the same again
    info.write_text(json.dumps({"other": {"file_name": "größer.json"}, "train": {"file_name": "old.json"}}))
    with pytest.raises(PathPluginsError, match=r"another entry 'train': .*old\.json.*--overwrite"):
        beside(out, False)
    later = beside(out, True)
    info.write_text(json.dumps({**json.loads(info.read_text()), "meanwhile": {}}))
    later()
    assert json.loads(info.read_text()) == {
        **{"other": {"file_name": "größer.json"}, "train": entry_of(out), "meanwhile": {}}
    }
    assert [path.name for path in tmp_path.iterdir()] == ["dataset_info.json"]
    with pytest.raises(PathPluginsError, match="choose another name"):
        beside(info, True)
    for content, message in (("[]", "not a JSON object"), ("{", "is not JSON")):
        info.write_text(content)
        with pytest.raises(PathPluginsError, match=message):
            beside(out, True)
