"""Uploads are kept in one folder under harmless names, within limits, the oldest leaving first."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathplugins.commands.serve.refusals import TooLargeError
from pathplugins.commands.serve.roots import MissingFileError
from pathplugins.commands.serve.uploads import Upload, Uploads
from pathplugins.core.errors import PathPluginsError


@pytest.fixture
def uploads() -> Iterator[Uploads]:
    made = Uploads(100)
    yield made
    made.close()


def add(uploads: Uploads, name: str, size: int = 10) -> Upload:
    return uploads.add(name, io.BytesIO(b"x" * size))


def url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("case 1.h5", "case_1.h5"),
        ("../../etc/x.h5", "x.h5"),
        ("C:\\slides\\a.svs", "a.svs"),
        ("..", "file"),
        (".hidden", "hidden"),
        ("", "file"),
        ("a" * 300 + ".svs", "a" * 96 + ".svs"),
        ("a\0b\n.h5", "a_b_.h5"),
    ],
)
def test_names_are_harmless(uploads: Uploads, given: str, kept: str) -> None:
    upload = add(uploads, given)
    assert (upload.name, upload.nbytes, upload.path.read_bytes()) == (kept, 10, b"x" * 10)
    assert uploads.get(upload.id) == upload
    assert upload.path.parent.parent == Path(uploads._folder.name)


def test_the_oldest_leave_first(uploads: Uploads) -> None:
    kept = [add(uploads, f"{number}.h5", 100) for number in range(17)]
    assert [each.id for each in uploads.listing()] == [each.id for each in kept[1:]]
    assert not kept[0].path.exists()
    with pytest.raises(MissingFileError, match="no such upload; the oldest are removed"):
        uploads.get(kept[0].id)


def test_limits_and_removal(uploads: Uploads) -> None:
    with pytest.raises(TooLargeError, match=r"--max-upload\)"):
        add(uploads, "x.h5", 101)
    with pytest.raises(PathPluginsError, match=r"x.h5 is empty"):
        add(uploads, "x.h5", 0)
    upload = add(uploads, "x.h5", 100)
    uploads.remove(upload.id)
    assert not upload.path.exists()
    with pytest.raises(MissingFileError):
        uploads.remove(upload.id)
    assert [*Path(uploads._folder.name).iterdir()] == []


def test_the_same_data_is_kept_once(uploads: Uploads) -> None:
    first, other = uploads.add_data(url(b"one")), uploads.add_data(url(b"two", "application/x-hdf5"))
    assert uploads.add_data(url(b"one")) == first != other
    assert first.path.read_bytes() == b"one"
    assert first.path.suffix == ".png"
    assert uploads.listing() == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data:image/png,x", "write data:image/png;base64"),
        ("data:image/png;base64,?", "holds no base64"),
        ("data:image/png;base64,", "is empty"),
        (url(b"x" * 101), "--max-upload"),
    ],
)
def test_data_that_is_refused(uploads: Uploads, text: str, said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        uploads.add_data(text)


def test_nothing_stays_when_the_server_ends() -> None:
    uploads = Uploads(100)
    upload = add(uploads, "x.h5")
    uploads.close()
    assert not upload.path.parent.parent.exists()
