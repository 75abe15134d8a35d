"""Disks that refuse are recognised by number and by words, and named with the next step; other errors pass."""

import errno
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pathplugins.core.disks import check_writable, is_full, refusal, refusals_in_words, reserve
from pathplugins.core.errors import PathPluginsError


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "x"), True),
        (OSError(errno.EDQUOT, "x"), True),
        (OSError("Can't write data (file write failed: errno = 28, error message = 'No space left on device')"), True),
        (sqlite3.OperationalError("database or disk is full"), True),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), True),
        (RuntimeError("PytorchStreamReader failed reading zip archive (inline_container.cc:145)"), False),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ValueError("no tissue found"), False),
    ],
)
def test_a_full_disk(error: Exception, full: bool) -> None:
    assert is_full(error) == full


def test_the_file_that_an_error_names_is_believed_before_the_output(tmp_path: Path) -> None:
    named = OSError(errno.EROFS, "Read-only file system", str(tmp_path / "elsewhere" / "a.h5"))
    assert refusal(named, tmp_path).startswith(f"{tmp_path / 'elsewhere'}: the file system is read-only; make it")
    assert refusal(OSError(errno.ENOSPC, "x"), tmp_path).startswith(f"{tmp_path}: the disk is full")
    denied = refusal(PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "in.csv")), tmp_path)
    assert denied.startswith(f"{tmp_path / 'in.csv'}: this user is not permitted that; change the permissions")
    assert refusal(OSError(errno.EIO, "x"), tmp_path) is None


def test_an_error_of_the_program_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError), refusals_in_words(tmp_path):
        raise KeyError("x")


def test_a_full_and_a_read_only_disk_are_refused_before_the_block(small: Path) -> None:
    out = small / "new" / "out"
    check_writable(out)
    with pytest.raises(PathPluginsError, match="small: the disk is full"), refusals_in_words(small):
        (small / "large").write_bytes(bytes(100_000))
    with pytest.raises(PathPluginsError, match="small: the disk is full"):
        check_writable(out)
    (small / "large").unlink()
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    with pytest.raises(PathPluginsError, match="small: the file system is read-only"):
        check_writable(out)


def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    if not os.geteuid():
        pytest.skip("root is permitted everything")
    tmp_path.chmod(0o500)
    with pytest.raises(PathPluginsError, match="not permitted"):
        check_writable(tmp_path / "out.json")
    tmp_path.chmod(0o700)


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saves").touch()
    with pytest.raises(PathPluginsError, match=r"saves is a file, so that .*run cannot be written below it"):
        check_writable(tmp_path / "saves" / "run")
    check_writable(tmp_path / "saves")


def test_reserved_bytes_are_zeros_and_a_disk_without_room_says_so(small: Path) -> None:
    with (small / "a").open("wb+") as file:
        reserve(file, 12_000)
        assert not np.memmap(file, np.uint8, "r+").any()
    with (small / "b").open("wb+") as file, pytest.raises(OSError, match="No space left on device"):
        reserve(file, 100_000)
