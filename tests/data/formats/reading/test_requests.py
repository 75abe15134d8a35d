"""Own lists of requests: read whole, all faults in one report, and drawn as the built-in ones are."""

import json
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats import READERS
from pathplugins.data.formats.reading.requests import read_requests

OWN = ["Describe this patch.", "Que voit-on sur l'image ?", "所見を述べよ。"]


@pytest.mark.parametrize(("name", "text"), [("r.txt", "\ufeff" + "\n\n".join(OWN) + "\n"), ("r.json", json.dumps(OWN))])
def test_lines_or_a_json_list(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_requests(tmp_path / name) == tuple(OWN)


def test_all_faults_are_one_report(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps([OWN[0], 7, "<image> What is it?", " ", OWN[0], "x" * 2001, "a\x00"]))
    with pytest.raises(PathPluginsError) as caught:
        read_requests(tmp_path / "r.json")
    said = str(caught.value)
    assert "6 of its 7 requests cannot be used" in said
    for fault in ("2: 7 is no text", "3: has <image>", "4: ' ' is no text", "5: the same as 1", "6: has 2001", "7: 'a"):
        assert fault in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no request"),
        (b"\xff\xfe\x00", "not a readable list"),
        (b"{}", "a JSON dict; wanted a list"),
        (b"[", "not a readable list"),
    ],
)
def test_what_is_no_list(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / ("r.json" if content[:1] in (b"{", b"[") else "r.txt")
    path.write_bytes(content)
    with pytest.raises(PathPluginsError, match=message):
        read_requests(path)
    with pytest.raises(PathPluginsError, match="no such file"):
        read_requests(tmp_path / "nowhere.txt")


@pytest.mark.parametrize("name", ["pallava_captions", "path_cap", "pmc_oa", "pathgen"])
def test_every_format_of_captions_draws_from_the_list(tmp_path: Path, name: str) -> None:
    rows = [{"image": f"{i}.png", "caption": f"Cells {i}."} for i in range(24)]
    (tmp_path / "in.json").write_text(json.dumps(rows))
    (tmp_path / "r.txt").write_text("\n".join(OWN), encoding="utf-8")
    stream = READERS.get(name).stream(tmp_path / "in.json", requests=tmp_path / "r.txt", seed=3)
    asked = [draft.conversations[0].text.replace("<image>", "").strip() for draft in stream.drafts()]
    assert {*asked} == {*OWN}
    again = READERS.get(name).stream(tmp_path / "in.json", requests=tmp_path / "r.txt", seed=3)
    assert [draft.conversations[0].text.replace("<image>", "").strip() for draft in again.drafts()] == asked
