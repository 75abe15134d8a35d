"""The memory of passed checks."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from pathplugins.data.checks import PassedChecks


def test_remembers_by_path_stamp_and_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, file = tmp_path / "new" / "passed.json", tmp_path / "a.h5"
    file.write_bytes(b"123")
    first, other = PassedChecks(cache, "width=3"), PassedChecks(cache, "width=3")
    first.add(str(file), first.stamp(str(file)))
    first.save()
    other.add("elsewhere", (7, 8))
    other.save()  # written later, from an older view: keeps what the first one wrote

    monkeypatch.chdir(tmp_path)
    again = PassedChecks(cache, "width=3")
    assert again.has(str(file), again.stamp(str(file)))
    assert again.has("a.h5", again.stamp("a.h5"))
    assert not PassedChecks(cache, "width=4").has(str(file), again.stamp(str(file)))
    os.utime(file, ns=(5, 5))
    assert not again.has(str(file), again.stamp(str(file)))
    assert [child.name for child in cache.parent.iterdir()] == ["passed.json"]


def test_files_that_are_not_there_have_no_stamp(tmp_path: Path) -> None:
    passed = PassedChecks(tmp_path / "passed.json", "")
    for reference in (str(tmp_path / "missing"), "slide\0region", "x" * 5000):
        assert passed.stamp(reference) is None
        passed.add(reference, None)
        assert not passed.has(reference, None)
    passed.save()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"version": 0, "passed": {}}), "\udcff"])
def test_a_damaged_memory_starts_anew(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    cache = tmp_path / "passed.json"
    cache.write_text(content, encoding="utf-8", errors="surrogateescape")
    with caplog.at_level(logging.WARNING):
        passed = PassedChecks(cache, "")
        passed.add("a", (1, 2))
        passed.save()
    assert "starting anew" in caplog.text
    assert PassedChecks(cache, "").has("a", (1, 2))


def test_a_memory_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    passed = PassedChecks(None, "")
    passed.add("a", (1, 2))
    passed.save()
    passed = PassedChecks(tmp_path / "folder", "")
    (tmp_path / "folder").mkdir()
    passed.add("a", (1, 2))
    with caplog.at_level(logging.WARNING):
        passed.save()
    assert "cannot be remembered" in caplog.text
    assert sorted(child.name for child in tmp_path.iterdir()) == ["file", "folder"]
