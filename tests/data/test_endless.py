from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data import bags, endless
from pathplugins.data.bags import check_bag, damage, must_come_back, read_bag
from pathplugins.data_tools.bags import kind_of
from pathplugins.data_tools.engine.outcome import recorded_settings

TOO_SHORT_S = 0.001
"""Less computing than the walk through `long`: a stand-in for a file without an end."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "a.h5"
    with h5py.File(path, "w") as file:
        file["features"], file["coords"] = np.ones((5, 24), np.float32), np.full((5, 2), 256) * np.arange(5)[:, None]
        file["again"] = h5py.SoftLink("/features")
        file["round"] = file["/"]  # a group that holds itself
        file["elsewhere"] = h5py.ExternalLink("no.h5", "/x")
    return path


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "b.h5"
    with h5py.File(path, "w") as file:
        file["features"], file["coords"] = np.ones((5, 24), np.float32), np.full((5, 2), 256) * np.arange(5)[:, None]
        for number in range(600):
            file.create_group(f"g{number}").attrs["number"] = number
    return path


def test_files_that_can_be_read_or_raise_are_left_to_their_reader(whole: Path, long: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.h5"
    cut.write_bytes(whole.read_bytes()[:900])
    for path in (whole, long, cut, tmp_path / "missing.h5", Path(__file__)):
        assert endless.endless(path) is None


def test_a_walk_without_an_end_is_ended_and_the_next_file_is_looked_at(whole: Path, long: Path) -> None:
    assert "in a loop, ended after 0.001 s" in endless.endless(long, seconds=TOO_SHORT_S)
    assert endless.endless(whole) is None
    assert endless.endless(long) is None


def test_waiting_is_no_computing(tmp_path: Path) -> None:
    path = tmp_path / "slow.h5"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(endless.endless, path, seconds=0.05)
        with pytest.raises(TimeoutError):
            asked.result(timeout=0.5)  # ten times the limit
        with path.open("wb"):
            pass
        assert asked.result(timeout=20) is None


def test_threads_and_forked_processes_get_their_own_answers(whole: Path, long: Path) -> None:
    asked = [whole, long] * 8
    limits = [60.0 if path == whole else TOO_SHORT_S for path in asked]
    with ThreadPoolExecutor(4) as pool:
        said = [*pool.map(lambda path, limit: endless.endless(path, seconds=limit), asked, limits)]
    assert [text is None for text in said] == [path == whole for path in asked]
    child = os.fork()
    if not child:
        os._exit(0 if endless.endless(whole) is None and endless.endless(long, seconds=TOO_SHORT_S) else 1)
    assert endless.endless(whole) is None
    assert os.waitpid(child, 0)[1] == 0


def test_a_crash_is_told_from_an_end_by_somebody_else(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "slow.h5"
    os.mkfifo(path)
    assert endless.endless(whole) is None
    helper = endless._HELPERS[os.getpid()]
    for number in (signal.SIGSEGV, signal.SIGKILL):
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(endless.endless, path)
            with pytest.raises(TimeoutError):
                asked.result(timeout=0.2)  # it waits for the other end of the pipe
            helper._process.send_signal(number)
            if number == signal.SIGSEGV:
                assert asked.result(timeout=20) == "its metadata end the HDF5 library's process with SIGSEGV"
            else:
                with pytest.raises(RuntimeError, match="ended with SIGKILL"):
                    asked.result(timeout=20)
    assert endless.endless(whole) is None


@pytest.mark.parametrize(
    "read",
    [check_bag, must_come_back, kind_of, partial(recorded_settings, attribute="settings")],
    ids=["check", "must", "kind", "settings"],
)
def test_those_who_look_first_refuse_it_by_name(
    read: object, whole: Path, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (bags, damage):
        monkeypatch.setattr(module, "endless", partial(endless.endless, seconds=TOO_SHORT_S))
    with pytest.raises(PathPluginsError, match=r"b\.h5.*in a loop"):
        read(long)
    assert read_bag(long).info.rows == 5  # whoever reads it afterwards does not ask again
