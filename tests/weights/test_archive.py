"""Archives of weights: unpacked once, inside the cache, or refused."""

import io
import tarfile
from pathlib import Path

import pytest

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.archive import unpacked


def archive(path: Path, members: dict[str, bytes | None], *, mode: str = "w:gz", kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.type, info.size = (tarfile.DIRTYPE, 0) if content is None else (kind, len(content))
            info.linkname = "/etc/passwd"
            tar.addfile(info, io.BytesIO(content or b""))
    return path


@pytest.mark.parametrize(("name", "mode"), [("plip.tar.gz", "w:gz"), ("plip.tgz", "w:gz"), ("plip.tar", "w:")])
def test_its_one_folder_is_what_it_holds(tmp_path: Path, name: str, mode: str) -> None:
    members = {"plip": None, "plip/a.bin": b"weights", "plip/config.json": b"{}", "._plip": b"x"}
    path = archive(tmp_path / name, members, mode=mode)
    found = unpacked(path, tmp_path / "cache")
    assert sorted(file.name for file in found.iterdir()) == ["a.bin", "config.json"]
    (found / "a.bin").write_bytes(b"marked")
    path.rename(tmp_path / f"moved-{name}")
    assert (unpacked(tmp_path / f"moved-{name}", tmp_path / "cache2") / "a.bin").read_bytes() == b"weights"
    again = archive(tmp_path / name, members, mode=mode)
    if mode == "w:":  # gzip records the time, so that the same files may be another archive
        assert (unpacked(again, tmp_path / "cache") / "a.bin").read_bytes() == b"marked"


def test_one_file_or_several_without_a_folder(tmp_path: Path) -> None:
    one = unpacked(archive(tmp_path / "a.pth.tar.gz", {"a.pth": b"weights"}), tmp_path / "cache")
    assert (one.name, one.read_bytes()) == ("a.pth", b"weights")
    several = unpacked(archive(tmp_path / "b.tar.gz", {"a.bin": b"w", "config.json": b"{}"}), tmp_path / "cache")
    assert sorted(file.name for file in several.iterdir()) == ["a.bin", "config.json"]


def test_other_paths_stay_as_they_are(tmp_path: Path) -> None:
    assert unpacked(tmp_path / "a.bin", tmp_path / "cache") == tmp_path / "a.bin"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["../out.bin", "/tmp/out.bin", "a/../../out.bin", "a\\..\\out.bin", "C:out.bin"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="would lie outside the folder"):
        unpacked(archive(tmp_path / "a.tar.gz", {name: b"w"}), tmp_path / "cache")
    assert not [file for file in tmp_path.rglob("*") if file.name == "out.bin"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(CheckpointError, match="is no plain file"):
        unpacked(archive(tmp_path / "a.tar.gz", {"a": b""}, kind=kind), tmp_path / "cache")


def test_damaged_and_empty_archives_leave_nothing_behind(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", {"a.bin": bytes(range(256)) * 999})
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    changed = tmp_path / "c.tar.gz"
    changed.write_bytes(whole[:-8] + bytes(8))  # the checksum and the length of gzip
    for file in (path, changed, archive(tmp_path / "b.tar.gz", {"a": None})):
        with pytest.raises(CheckpointError, match=r"damaged or incomplete|holds no files"):
            unpacked(file, tmp_path / "cache")
    assert not [*(tmp_path / "cache").rglob("*.bin")]


def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for content in (b"1", b"2"):
            info = tarfile.TarInfo("a.bin")
            info.size = 1
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(CheckpointError, match="one twice"):
        unpacked(tmp_path / "a.tar.gz", tmp_path / "cache")
