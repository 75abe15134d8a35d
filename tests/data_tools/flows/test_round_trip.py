"""What a format holds survives any other format that holds it too: ids, images and their places, turns, every text."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathplugins.data.formats import READERS
from pathplugins.data.records import BadSample, Record, Turn, check_record
from pathplugins.data_tools.records.convert import convert
from pathplugins.data_tools.records.request import Request
from pathplugins.data_tools.records.writers import WRITERS

FILES = {
    "llava": ("llava", "llava", "a.json"),
    "llava lines": ("llava", "llava", "a.jsonl"),
    "xtuner": ("xtuner", "llava", "x.jsonl"),
    "sharegpt": ("sharegpt", "sharegpt", "g.json"),
    "record": ("record", "record", "r.jsonl"),
    "slidechat": ("slidechat", "slidechat", "c.json"),
    "wsi_bench": ("wsi_bench", "wsi_bench", "b.json"),
    "wsi_bench test": ("wsi_bench", "wsi_bench", "t.jsonl"),
    "wsi_csv": ("wsi_csv", "wsi_csv", "w.csv"),
}
"""Name -> writer, reader, file."""
SUFFIXES = {"slidechat": ".csv", "wsi_bench": ".pt", "wsi_csv": ".h5"}
ANY = ("llava", "llava lines", "xtuner", "sharegpt", "record")
CONVERSATIONS = (*ANY, "slidechat", "wsi_bench")

FEW = settings(max_examples=8, deadline=None, derandomize=True)

pieces = st.sampled_from(
    ['"', '""', ",", "\n", "\r\n", "\r", "é", "🔬", "\\", "\\n", "<im", "a b", "\u2028", "\t", "'", "None"]
)
words = st.lists(
    pieces | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3), max_size=6
)
texts = words.map("".join).filter(lambda text: "<image>" not in text)
spoken = texts.filter(lambda text: bool(text.strip()))
trimmed = spoken.map(str.strip)
names = st.text(st.characters(categories=["L", "N"], include_characters='-_ ",'), min_size=1, max_size=8).map(str.strip)
ids = st.lists(names.filter(bool), unique=True, min_size=1, max_size=4)


def turns(images: int, answers: int, *, system: bool) -> st.SearchStrategy[tuple[Turn, ...]]:
    """``images`` placeholders anywhere in the questions."""

    @st.composite
    def draw(draw: st.DrawFn) -> tuple[Turn, ...]:
        asked = [draw(texts) for _ in range(answers)]
        for _ in range(images):
            number = draw(st.integers(0, answers - 1))
            at = draw(st.integers(0, len(asked[number])))
            asked[number] = f"{asked[number][:at]}<image>{asked[number][at:]}"
        said = [turn for text in asked for turn in (Turn("user", text), Turn("assistant", draw(spoken)))]
        return (Turn("system", draw(spoken)), *said) if system else tuple(said)

    return draw()


def record(name: str, images: tuple[str, ...], conversations: tuple[Turn, ...]) -> Record:
    return Record(id=name, conversations=conversations, images=images, meta={}, source="s", row=1)


@st.composite
def any_records(draw: st.DrawFn) -> list[Record]:
    found = []
    for name in draw(ids):
        images = tuple(draw(st.lists(names.filter(bool).map("{}.jpg".format), max_size=3)))
        conversations = draw(turns(len(images), draw(st.integers(1, 3)), system=draw(st.booleans())))
        found.append(record(name, images, conversations))
    return [found_one for found_one in found if check_record(found_one) is None]


@st.composite
def slide_conversations(draw: st.DrawFn) -> list[Record]:
    return [
        record(name, (f"x/{name}.h5",), draw(turns(1, draw(st.integers(1, 3)), system=False))) for name in draw(ids)
    ]


@st.composite
def slide_questions(draw: st.DrawFn) -> list[Record]:
    return [
        record(name, (f"x/{name}.h5",), (Turn("user", f"<image>\n{draw(trimmed)}"), Turn("assistant", draw(trimmed))))
        for name in draw(ids)
    ]


def write(records: list[Record], name: str, folder: Path) -> Path:
    writer, _, file = FILES[name]
    target, out = WRITERS.get(writer), folder / file
    sink, row = target.sink(out), target.rows(out)
    out.write_bytes(sink.start + sink.encode([row(record) for record in records]) + sink.end)
    return out


def read(name: str, path: Path) -> list[Record]:
    stream = dataclasses.replace(READERS.get(FILES[name][1]).stream(path), folders=(), look=False)
    records, bad = stream.lists()
    assert not bad, bad
    return records


def held(records: list[Record], suffix: str | None = None) -> list[tuple[object, ...]]:
    def renamed(image: str) -> str:
        return image.rpartition(".")[0] + suffix if suffix else image

    return [(r.id, r.conversations, tuple(map(renamed, r.images))) for r in records]


def there_and_back(records: list[Record], first: str, second: str, folder: Path, *, slides: bool) -> None:
    """Write as the first, convert to the second and back, and compare what is read after each step."""
    if not records:
        return
    suffixes = [SUFFIXES.get(FILES[name][0]) if slides else None for name in (first, second)]
    if slides:
        records = [
            dataclasses.replace(r, images=tuple(Path(i).with_suffix(suffixes[0] or ".h5").as_posix() for i in r.images))
            for r in records
        ]
    source = write(records, first, folder)
    assert held(read(first, source)) == held(records)
    for reader, writer, suffix in ((first, second, suffixes[1]), (second, first, suffixes[0])):
        out = folder / "out" / FILES[writer][2]
        request = Request(
            source=source,
            out=out,
            format_name=FILES[reader][1],
            to=FILES[writer][0],
            image_suffix=suffix,
            overwrite=True,
        )
        done = convert(request)
        assert (done.written, done.report) == (len(records), "")
        assert held(read(writer, out)) == held(records, suffix or (suffixes[0] if writer == first else None))
        source = out
        records = records if suffix is None else read(writer, out)


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations_with_replacement(ANY, 2)])
@FEW
@given(records=any_records())
def test_any_record(records: list[Record], first: str, second: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    there_and_back(records, first, second, tmp_path_factory.mktemp("any"), slides=False)


@pytest.mark.parametrize(("first", "second"), [*itertools.product(("slidechat", "wsi_bench"), CONVERSATIONS)])
@FEW
@given(records=slide_conversations())
def test_conversations_about_a_slide(
    records: list[Record], first: str, second: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there_and_back(records, first, second, tmp_path_factory.mktemp("slides"), slides=True)


@pytest.mark.parametrize(("first", "second"), [*itertools.product(("wsi_csv", "wsi_bench test"), FILES)])
@FEW
@given(records=slide_questions())
def test_questions_about_a_slide(
    records: list[Record], first: str, second: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there_and_back(records, first, second, tmp_path_factory.mktemp("questions"), slides=True)


def test_a_record_keeps_everything(tmp_path: Path) -> None:
    whole = dataclasses.replace(
        record("a#3", ("b.h5",), (Turn("user", "<image>"), Turn("assistant", "!"))), meta={"slide_id": "é", "split": ""}
    )
    path = write([whole], "record", tmp_path)
    (back,) = read("record", path)
    assert not isinstance(back, BadSample)
    assert dataclasses.replace(back, source="s", row=1) == whole
