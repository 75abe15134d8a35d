"""Unpacking: whole or not at all, and it goes on where it was."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import picture_archives as made
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_json
from pathplugins.data_tools.patchtcga.members import RefusedError
from pathplugins.data_tools.patchtcga.parts import archive_of
from pathplugins.data_tools.patchtcga.unpack import Place, finished, stamps_of, unpack

FILES = made.contents()


def test_the_folder_of_the_archive_or_one_of_its_name(tmp_path: Path) -> None:
    archive = archive_of([made.write_tar(tmp_path / "other.tar.gz", FILES)])
    place = Place(out=tmp_path / "out", name=archive.name)
    target, count = unpack(place, archive)
    assert (target, count) == (tmp_path / "out/PTCGA200", len(FILES))
    assert {f"PTCGA200/{name}": data for name, data in made.tree(target).items()} == FILES
    assert finished(place, archive) == target
    flat = archive_of([made.write_zip(tmp_path / "Flat.zip", {"brain/a.jpg": b"a", "lung/b.jpg": b"b"})])
    target, _ = unpack(Place(out=tmp_path / "out", name=flat.name), flat)
    assert made.tree(tmp_path / "out/Flat") == {"brain/a.jpg": b"a", "lung/b.jpg": b"b"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("PTCGA200", "Flat", ".other.join.json", ".Flat.join.json")
    }


def test_nothing_is_left_of_a_hostile_archive(tmp_path: Path) -> None:
    archive = archive_of([made.write_tar(tmp_path / "x.tar.gz", {**FILES, "../../evil.jpg": b"x"})])
    with pytest.raises(RefusedError, match=r"'\.\./\.\./evil.jpg' that leads out of the target"):
        unpack(Place(out=tmp_path / "a/out", name="x"), archive)
    assert [*(tmp_path / "a/out").iterdir()] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "x.tar.gz"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "end"])
def test_a_damaged_archive_never_appears(tmp_path: Path, damage: str) -> None:
    path = made.write_tar(tmp_path / "x.tar.gz", FILES)
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    path.write_bytes(data[: {"cut": len(data) // 2, "end": -4}.get(damage, len(data))])
    with pytest.raises(PathPluginsError, match=r"x is damaged or incomplete .* run the same command"):
        unpack(Place(out=tmp_path / "out", name="x"), archive_of([path]))
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name[0] != "."] == []


@pytest.mark.parametrize("which", ["first", "all"], ids=["beside the member", "everywhere"])
def test_a_zip_whose_names_are_no_text_is_damaged(tmp_path: Path, which: str) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("ä.png", b"1")
    path.write_bytes(path.read_bytes().replace("ä".encode(), b"\xc3(", 1 if which == "first" else -1))
    with pytest.raises(PathPluginsError, match="x is damaged or incomplete"):
        unpack(Place(out=tmp_path / "out", name="x"), archive_of([path]))


def test_files_that_are_whole_are_not_written_again(tmp_path: Path) -> None:
    archive = archive_of([made.write_tar(tmp_path / "x.tar", FILES)])
    place = Place(out=tmp_path / "out", name="x")
    target, _ = unpack(place, archive)
    place.partial.mkdir()
    target.replace(place.partial / "PTCGA200")
    names = sorted((place.partial / "PTCGA200/brain").iterdir())
    kept = names[0].stat().st_ino
    names[1].write_bytes(b"half")
    names[2].unlink()
    place.writing.write_bytes(b"left behind")
    target, _ = unpack(place, archive)
    assert {f"PTCGA200/{name}": data for name, data in made.tree(target).items()} == FILES
    assert (target / "brain" / names[0].name).stat().st_ino == kept
    assert not place.writing.exists()


def test_a_kill_between_the_last_steps_is_seen(tmp_path: Path) -> None:
    archive = archive_of([made.write_tar(tmp_path / "x.tar", FILES)])
    place = Place(out=tmp_path / "out", name="x")
    target, _ = unpack(place, archive)
    place.partial.mkdir()
    assert finished(place, archive) == target
    assert not place.partial.exists()
    shutil.rmtree(target)
    assert finished(place, archive) is None


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    archive = archive_of([made.write_tar(tmp_path / "PTCGA200.tar", FILES)])
    (tmp_path / "out/PTCGA200").mkdir(parents=True)
    with pytest.raises(PathPluginsError, match="PTCGA200 exists and was not unpacked from these files"):
        unpack(Place(out=tmp_path / "out", name="PTCGA200"), archive)


def test_a_disk_that_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_of([made.write_tar(tmp_path / "x.tar", FILES)])
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(PathPluginsError, match=r"out has 0.0 GB free, wanted at least 0.0 GB for x; make room"):
        unpack(Place(out=tmp_path / "out", name="x"), archive)


def test_a_state_that_is_damaged_is_none(tmp_path: Path) -> None:
    archive = archive_of([made.write_tar(tmp_path / "x.tar", FILES)])
    place = Place(out=tmp_path, name="x")
    write_json(place.state_file, {"parts": stamps_of(archive), "target": "gone"})
    assert finished(place, archive) is None
    place.state_file.write_text("{")
    assert place.state() == {}
