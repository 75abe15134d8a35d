"""Pickles cannot run anything (feature A3)."""

from __future__ import annotations

import collections
import os
import pickle
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.pickles import read_plain_pickle

PLAIN = [{"image": "val_0261", "question": "é?", "answer": "yes"}, (1, 2.5, None, True, {"s"}, b"x")]


class Runs:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(PLAIN[:1] if protocol < 4 else PLAIN, protocol))
    assert read_plain_pickle(tmp_path / "p.pkl") == (PLAIN[:1] if protocol < 4 else PLAIN)


def test_text_of_python_2(tmp_path: Path) -> None:
    (tmp_path / "p.pkl").write_bytes(b"(lp0\nS'caf\\xc3\\xa9'\np1\na.")
    assert read_plain_pickle(tmp_path / "p.pkl") == ["café"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    target = tmp_path / "made"
    (tmp_path / "p.pkl").write_bytes(pickle.dumps([Runs(target)], protocol))
    with pytest.raises(PathPluginsError, match=r"p\.pkl asks for (posix|nt)\.mkdir"):
        read_plain_pickle(tmp_path / "p.pkl")
    assert not target.exists()


@pytest.mark.parametrize("value", [collections.OrderedDict(), Path("x"), print], ids=repr)
def test_anything_by_name_is_refused(tmp_path: Path, value: object) -> None:
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(PathPluginsError, match=r"asks for .*; if you trust"):
        read_plain_pickle(tmp_path / "p.pkl")


@pytest.mark.parametrize(
    "content", [b"", b"image,question\n", pickle.dumps(PLAIN)[:-9], b"\x80\x04.", b"\x80\x04e.", b"\x80\x04h\x07."]
)
def test_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.pkl").write_bytes(content)
    with pytest.raises(PathPluginsError, match=r"p\.pkl is not a readable pickle"):
        read_plain_pickle(tmp_path / "p.pkl")
