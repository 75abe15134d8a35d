"""``pathdata patchtcga join``: verified, unpacked, resumed after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import picture_archives as made
import pytest

PathData = Callable[..., tuple[int, str]]


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """PTCGA200 in four parts, and their checksums."""
    parts = made.cut(made.write_tar(tmp_path / "PTCGA200.tar.gz", made.contents()), 4)
    (tmp_path / "checksums.txt").write_text(made.md5_lines(*parts))
    return parts


def test_join_verify_unpack_and_done(tmp_path: Path, parts: list[Path], pathdata: PathData) -> None:
    command = ("patchtcga", "join", *parts[::-1], "--md5", tmp_path / "checksums.txt", "--out", tmp_path / "data")
    code, said = pathdata(*command)
    assert code == 0, said
    assert said.count("NIH Genomic Data Sharing") == 1
    assert said.index("NIH") < said.index("MD5 right") < said.index(f"{tmp_path / 'data/PTCGA200'}: 7 files from")
    unpacked = made.tree(tmp_path / "data/PTCGA200")
    assert {f"PTCGA200/{name}": data for name, data in unpacked.items()} == made.contents()
    code, said = pathdata(*command)
    assert (code, "done already, from the same 4 files" in said) == (0, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["checksums.txt", "data", *(part.name for part in parts)]
    )  # no joined copy


def test_a_wrong_md5_stops_before_extraction(tmp_path: Path, parts: list[Path], pathdata: PathData) -> None:
    parts[2].write_bytes(parts[2].read_bytes()[::-1])
    code, said = pathdata("patchtcga", "join", *parts, "--md5", tmp_path / "checksums.txt", "--out", tmp_path / "data")
    assert code == 2
    assert f"{parts[2]}: its MD5 is " in said
    assert "nothing was extracted: download it again" in said
    assert [*(tmp_path / "data").iterdir()] == []


def test_checksums_must_be_given_or_waived(tmp_path: Path, parts: list[Path], pathdata: PathData) -> None:
    code, said = pathdata("patchtcga", "join", *parts, "--out", tmp_path / "data")
    assert (code, "pass --md5 FILE" in said) == (2, True)
    code, said = pathdata("patchtcga", "join", *parts, "--out", tmp_path / "data", "--unverified")
    assert (code, "not verified" in said) == (0, True)


@pytest.mark.parametrize("name", ["../x.jpg", "/x.jpg", "link"])
def test_hostile_archives(tmp_path: Path, pathdata: PathData, name: str) -> None:
    more = (made.link("PTCGA200/link", "/etc"),) if name == "link" else ()
    files = made.contents() if more else {**made.contents(), name: b"x"}
    path = made.write_tar(tmp_path / "PTCGA200.tar.gz", files, *more)
    code, said = pathdata("patchtcga", "join", path, "--unverified", "--out", tmp_path / "data")
    assert code == 2
    assert "the archive has a member" in said
    assert name in said
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".PTCGA200.join.json"]
    assert not (tmp_path / "x.jpg").exists()


def test_parts_that_changed_since(tmp_path: Path, parts: list[Path], pathdata: PathData) -> None:
    out = tmp_path / "data"
    (out / ".PTCGA200.partial").mkdir(parents=True)
    code, said = pathdata("patchtcga", "join", *parts, "--unverified", "--out", out)
    assert (code, "was unpacked from other files" in said) == (2, True)


def count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def test_killed_while_it_extracts_then_the_same_command(tmp_path: Path) -> None:
    """A real process, killed twice at whatever file it is; the tree is that of a run without a kill."""
    files = made.contents(files=2500, size=5000)
    parts = made.cut(made.write_tar(tmp_path / "PTCGA200.tar.gz", files), 3)
    (tmp_path / "sums").write_text(made.md5_lines(*parts))
    command = [sys.executable, "-m", "pathplugins.data_tools", "patchtcga", "join", *map(str, parts)]
    command += ["--md5", str(tmp_path / "sums"), "--out", str(tmp_path / "data")]
    partial = tmp_path / "data/.PTCGA200.partial/PTCGA200/brain"
    for least in (50, 500):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (count(partial) >= least):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert least <= count(partial) < len(files)
        assert not (tmp_path / "data/PTCGA200").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "verified by an earlier run" in done.stderr
    assert "going on with what an earlier run unpacked" in done.stderr
    tree = made.tree(tmp_path / "data/PTCGA200")
    assert {f"PTCGA200/{name}": data for name, data in tree.items()} == files
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"PTCGA200", ".PTCGA200.join.json"}
    assert {path.stat().st_mtime for path in (tmp_path / "data/PTCGA200/brain").iterdir()} == {made.MTIME}
