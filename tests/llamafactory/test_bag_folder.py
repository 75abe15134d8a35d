"""Bags of a folder without known answers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.prompts import REPORT_REQUEST
from pathplugins.llamafactory.bag_folder import check_bag_folder, read_bag_folder

PREDICT = SimpleNamespace(do_train=False, do_eval=False, predict_with_generate=True)


def test_each_bag_is_asked_each_question_in_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.h5", "sub/a.h5", ".hidden.h5", "notes.txt"):
        (tmp_path / name).touch()
    reports = read_bag_folder(tmp_path, PREDICT)
    assert [(record.id, record.row) for record in reports] == [("b#1", 1), ("sub/a#1", 2)]
    assert reports[0].conversations[0].text == f"<image>\n{REPORT_REQUEST}"
    (tmp_path / "questions.txt").write_text("What?\n\n Why? \n")
    asked = read_bag_folder(tmp_path, PREDICT)
    assert [record.id for record in asked] == ["b#1", "b#3", "sub/a#1", "sub/a#3"]
    assert [record.conversations[0].text for record in asked[:2]] == ["<image>\nWhat?", "<image>\nWhy?"]
    assert {record.conversations[1].text for record in asked} == {""}


def test_what_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="holds no bag"):
        read_bag_folder(tmp_path, PREDICT)
    with pytest.raises(PathPluginsError, match="no such folder"):
        read_bag_folder(tmp_path / "none", PREDICT)
    (tmp_path / "a.h5").touch()
    for text, reason in {
        " \n": "holds no question",
        "What?\n<image> Why?\n": r"questions\.txt:2 has a placeholder",
    }.items():
        (tmp_path / "questions.txt").write_text(text)
        with pytest.raises(PathPluginsError, match=reason):
            read_bag_folder(tmp_path, PREDICT)
    for changed, use in (({"do_train": True}, "do_train: false"), ({"predict_with_generate": False}, "generate: true")):
        with pytest.raises(PathPluginsError, match=f"no answers to learn .*{use}"):
            read_bag_folder(tmp_path, SimpleNamespace(**{**vars(PREDICT), **changed}))
    with pytest.raises(PathPluginsError, match="subset is not read by this format"):
        check_bag_folder("new", {"file_name": "bags", "formatting": "bag_folder", "subset": "vqa"}, tmp_path)
