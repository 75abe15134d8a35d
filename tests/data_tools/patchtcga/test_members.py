"""Members: what leaves the target, links, or replaces another is refused by name."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import picture_archives as made
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.patchtcga.members import Guard, RefusedError, members_of
from pathplugins.data_tools.patchtcga.parts import archive_of

FILES = made.contents()


def read(path: Path) -> dict[str, bytes]:
    with members_of(archive_of([path]), fold_case=False) as members:
        return {member.name: member.open().read() for member in members if not member.is_folder}


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.zip"])
def test_all_kinds_of_archive(tmp_path: Path, name: str) -> None:
    write = made.write_zip if name.endswith("zip") else made.write_tar
    assert read(write(tmp_path / name, {f"./{file}": data for file, data in FILES.items()})) == FILES


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../x", "leads out of the target folder"),
        ("a/../../x", "leads out of the target folder"),
        ("/etc/x", "is an absolute path"),
        ("C:/x", "is an absolute path"),
        (r"a\..\x", "has a character that no path may"),
    ],
)
@pytest.mark.parametrize("kind", ["a.tar", "a.zip"])
def test_names_that_leave_the_target(tmp_path: Path, name: str, reason: str, kind: str) -> None:
    write = made.write_zip if kind == "a.zip" else made.write_tar
    with pytest.raises(RefusedError, match=reason) as error:
        read(write(tmp_path / kind, {**FILES, name: b"x"}))
    assert repr(name) in str(error.value)


@pytest.mark.parametrize(
    ("info", "kind"),
    [
        (made.link("a/l", "/etc/passwd"), "symbolic link"),
        (made.link("a/l", "PTCGA200/brain/TCGA-02-0000.jpg", tarfile.LNKTYPE), "hard link"),
        (made.link("a/l", "", tarfile.CHRTYPE), "device or special file"),
        (made.link("a/l", "", tarfile.FIFOTYPE), "device or special file"),
    ],
)
def test_links_and_devices(tmp_path: Path, info: tarfile.TarInfo, kind: str) -> None:
    with pytest.raises(RefusedError, match=f"'a/l' that is a {kind}"):
        read(made.write_tar(tmp_path / "a.tar", FILES, info))


def test_a_link_in_a_zip(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a/l")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(RefusedError, match="'a/l' that is a link or device"):
        read(tmp_path / "a.zip")


def test_a_file_that_replaces_another() -> None:
    guard = Guard(fold_case=False)
    assert guard.path("a/b", kind="file") == "a/b"
    assert guard.path("a/B", kind="file") == "a/B"
    assert guard.path("a//c/", kind="folder") == "a/c"
    with pytest.raises(RefusedError, match="stands twice"):
        guard.path("./a/b", kind="file")
    with pytest.raises(RefusedError, match="which is a file"):
        guard.path("a/b/c", kind="file")
    with pytest.raises(RefusedError, match="is a file where another member is a folder"):
        guard.path("a", kind="file")


def test_names_that_differ_by_case_only_where_that_matters() -> None:
    guard = Guard(fold_case=True)
    guard.path("Brain/a.jpg", kind="file")
    with pytest.raises(RefusedError, match=r"stands twice in the archive \(as 'Brain/a.jpg' before\)"):
        guard.path("Brain/A.jpg", kind="file")
    with pytest.raises(RefusedError, match="differs only by case from 'Brain'"):
        guard.path("brain/b.jpg", kind="file")


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"<html>")
    with pytest.raises(PathPluginsError, match=r"starts with b'<html>', which is neither gzip, tar nor zip"):
        read(tmp_path / "a.tar.gz")


def test_a_member_of_a_zip_without_a_name_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("abc", b"content")
    nul = (tmp_path / "a.zip").read_bytes().replace(b"abc", b"\0bc")  # a name ends at NUL
    (tmp_path / "a.zip").write_bytes(nul)
    with pytest.raises(RefusedError, match="character that no path may"):
        read(tmp_path / "a.zip")
