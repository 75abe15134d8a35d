"""JSON files, written whole or not at all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import (
    is_file,
    is_folder,
    meant_by,
    new_folder,
    read_json,
    refuse_nonempty,
    remove_abandoned,
    temporary_beside,
    write_json,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"µm": 0.25, "b": [1, None]})
    assert read_json(path) == {"µm": 0.25, "b": [1, None]}
    write_json(path, {"b": 2})
    assert path.read_text() == '{\n  "b": 2\n}\n'


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_temporary_file_says_what_it_was_to_become(tmp_path: Path) -> None:
    temporary = temporary_beside(tmp_path / "slide.1.h5")
    assert temporary.parent == tmp_path
    assert temporary.name.startswith(".")
    assert meant_by(temporary) == "slide.1.h5"
    assert meant_by(tmp_path / "slide.1.h5") is None
    assert temporary_beside(tmp_path / "slide.1.h5") != temporary


def test_an_output_directory_is_new_or_empty(tmp_path: Path) -> None:
    refuse_nonempty(tmp_path / "new")
    refuse_nonempty(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").touch()
    for out in (tmp_path, tmp_path / "mine"):
        with pytest.raises(PathPluginsError, match=f"^{out} exists and is not an empty directory; choose another"):
            refuse_nonempty(out)


def test_a_new_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    with new_folder(out) as folder:
        (folder / "x").touch()
        assert not out.exists()
    assert [path.name for path in out.iterdir()] == ["x"]
    with pytest.raises(PathPluginsError, match="not an empty directory"), new_folder(out):
        pass
    with pytest.raises(RuntimeError), new_folder(tmp_path / "b"):
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_killed_processes_left_beside_an_output_is_removed_and_no_more(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    out = tmp_path / "a[1].json"
    live = temporary_beside(out).name
    dead = live.replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    elsewhere = re.sub(r"[0-9a-f]{8}-(\d+)-", r"00000000-\1-", dead)
    kept = {live, elsewhere, dead.replace("a[1].json", "a1.json"), dead.replace(".tmp", "0.tmp")}
    for name in (dead, *kept):
        (tmp_path / name).write_text("half")
    remove_abandoned(out)
    assert {path.name for path in tmp_path.iterdir()} == kept
    (tmp_path / dead).mkdir()
    with new_folder(out) as folder:
        (folder / "whole").write_text("")
    assert {path.name for path in tmp_path.iterdir()} == {out.name, *kept}


@pytest.mark.parametrize("text", ["", "{", "[" * 5000, "[]", "1"])
def test_json_that_is_no_object_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(PathPluginsError, match=r"a\.json (is not JSON|holds a JSON (list|int), expected an object)"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git-LFS pointer, .* `git lfs pull`"),
        ("\n<!DOCTYPE HTML><html>Log in</html>", "is a web page, as of a login, .* accept the terms of a gated"),
    ],
)
def test_what_stands_in_place_of_json_is_called_what_it_is(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(PathPluginsError, match=rf"a\.json {said}"):
        read_json(tmp_path / "a.json")


def test_a_name_that_no_file_can_have_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert is_file(tmp_path / "a")
    assert is_folder(tmp_path)
    assert not any(map(is_folder, (tmp_path / "a", tmp_path / ("x" * 5000))))
    assert not any(map(is_file, (tmp_path, tmp_path / "b", tmp_path / ("x" * 5000), tmp_path / "\0")))
