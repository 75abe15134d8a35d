"""Answers stay, under what shapes them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.captioning.cache import AnswerCache, answer_key
from pathplugins.data_tools.captioning.replies import Answer


def test_everything_counts_in_a_key() -> None:
    base = (b"image", "model", "prompt", {"temperature": 0.0, "seed": 1})
    others = [
        (b"other", *base[1:]),
        (None, *base[1:]),
        (b"image", "m2", *base[2:]),
        (*base[:2], "p2", base[3]),
        (*base[:3], {"temperature": 0.5, "seed": 1}),
    ]
    keys = {answer_key(*parts) for parts in [base, *others]}
    assert len(keys) == 6
    assert answer_key(*base[:3], {"seed": 1, "temperature": 0.0}) in keys


def test_threads_write_and_another_run_reads(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "answers.sqlite"
    with AnswerCache(path) as cache:
        threads = [
            threading.Thread(target=lambda n=n: [cache.put(f"{n}-{i}", Answer(f"t{i}", "m")) for i in range(5)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with AnswerCache(path) as beside:  # as after a kill: nothing was closed
            assert [beside.get(f"{n}-{i}") for n in range(4) for i in range(5)] == [
                Answer(f"t{i}", "m") for i in range(5)
            ] * 4
    with AnswerCache(path) as cache:
        assert cache.get("nothing") is None
        cache.put("0-0", Answer("", "m", "refusal"))
        assert cache.get("0-0") == Answer("", "m", "refusal")


def test_results_are_those_of_one_run(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "a.sqlite") as cache:
        assert cache.replace_results([("a", Answer("1", "m")), ("b", Answer("2", "m")), ("a", Answer("3", "m"))]) == 2
        assert cache.get("a", table="results") == Answer("3", "m")
        assert cache.replace_results([("c", Answer("4", "m"))]) == 1
        assert cache.get("a", table="results") is None
        assert cache.get("c") is None


def test_another_file_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_text("not a data base, and long enough to be seen as none" * 20)
    with pytest.raises(PathPluginsError, match=r"a\.sqlite is no cache of answers .* delete it"):
        AnswerCache(tmp_path / "a.sqlite")
