"""Only what lies below the roots may be asked about; what lies elsewhere is refused in the same words, there or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pathplugins.commands.serve.roots import MissingFileError, RefusedPathError, Roots
from pathplugins.core.errors import PathPluginsError

BAG = b"\x89HDF\r\n\x1a\n and more"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Roots ``bags`` and ``other/bags``, and a file beside them that links and paths try to reach."""
    for name in ("bags/deep/one.h5", "bags/two.H5", "bags/50%.h5", "bags/.hidden.h5", "other/bags/two.h5", "out/s.h5"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(BAG)
    (tmp_path / "bags" / "link.h5").symlink_to(tmp_path / "bags" / "deep" / "one.h5")
    (tmp_path / "bags" / "leads_out.h5").symlink_to(tmp_path / "out" / "s.h5")
    (tmp_path / "bags" / "folder").symlink_to(tmp_path / "out")
    (tmp_path / "bags" / "round").symlink_to(tmp_path / "bags" / "round")
    return tmp_path


@pytest.fixture
def roots(place: Path) -> Roots:
    return Roots([place / "bags", place / "other" / "bags", place / "bags"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bags/deep/one.h5", "bags/deep/one.h5"),
        ("deep/one.h5", "bags/deep/one.h5"),
        ("bags-2/two.h5", "other/bags/two.h5"),
        ("two.h5", "other/bags/two.h5"),  # the first root has none of that spelling
        ("link.h5", "bags/link.h5"),
        ("50%.h5", "bags/50%.h5"),
        ("deep", "bags/deep"),  # a slide may be a folder
        ("{}/bags/deep/one.h5", "bags/deep/one.h5"),
        ("file://{}/bags/deep/one.h5", "bags/deep/one.h5"),
        ("file://localhost{}/bags/deep/one%2Eh5", "bags/deep/one.h5"),
        ("file:deep/one.h5", "bags/deep/one.h5"),
        ("FILE:///{}/bags/50%25.h5", "bags/50%.h5"),
    ],
)
def test_what_lies_below_a_root_is_found(text: str, found: str, place: Path, roots: Roots) -> None:
    assert roots.resolve(text.format(place)) == place / found


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "{}/out/s.h5",
        "{}//out/s.h5",
        "//{}/out/s.h5",
        "file://{}/out/s.h5",
        "file://elsewhere{}/bags/two.H5",
        "../out/s.h5",
        "bags/../../out/s.h5",
        "bags/deep/../../../out/s.h5",
        "{}/bags/../out/s.h5",
        "%2e%2e/out/s.h5",
        "..%2fout/s.h5",
        "..%252fout/s.h5",
        "file:..%2Fout/s.h5",
        "file://{}/bags/%2e%2e/out/s.h5",
        "file://{}/bags/%252e%252e/out/s.h5",
        "..\\out\\s.h5",
        "bags/leads_out.h5",
        "folder/s.h5",
        ".hidden.h5",
        "http://localhost/out/s.h5",
        "",
        ".",
        "{}/bags",
        "/",
        "{}",
        "out/s.h5\0.h5",
        "round/s.h5",
        "~/s.h5\\",
    ],
)
def test_what_leads_out_is_refused_in_the_same_words_there_or_not(
    text: str, there: bool, place: Path, roots: Roots
) -> None:
    text = text.format(place)
    if not there:
        (place / "out" / "s.h5").unlink()
    with pytest.raises(RefusedPathError) as error:
        roots.resolve(text)
    assert str(error.value) == (
        f"{text}: this server reads files of its roots alone (bags, bags-2); name one as ROOT/PATH, or upload it"
    )


@pytest.mark.parametrize("text", ["bags", "bags/three.h5", "deep/two.h5", "{}/bags/none/x.h5"])
def test_what_is_missing_below_a_root_is_called_missing(text: str, place: Path, roots: Roots) -> None:
    with pytest.raises(MissingFileError, match="no such file on this server"):
        roots.resolve(text.format(place))


def test_a_name_longer_than_any_file_is_refused(roots: Roots) -> None:
    with pytest.raises(PathPluginsError) as error:
        roots.resolve("a" * 5000)
    assert len(str(error.value)) < 400


def test_a_root_behind_a_link(place: Path) -> None:
    (place / "seen").symlink_to(place / "other")
    roots = Roots([place / "seen" / "bags"])
    found = roots.resolve(f"{place}/seen/bags/two.h5")
    assert roots.name_of(found) == "bags/two.h5"


def test_listing_names_what_can_be_resolved(place: Path, roots: Roots) -> None:
    Image.new("RGB", (9, 7)).save(place / "bags" / "picture.tif")
    (place / "bags" / "notes.txt").write_text("x")
    (place / "bags" / "broken.tif").write_text("x")
    (place / "bags" / "a.SVS").write_text("x")
    (place / "bags" / "s.png").write_text("x")
    (place / "bags" / "study").mkdir()
    for number in range(2):
        (place / "bags" / "study" / f"{number}.dcm").write_text("x")
    (place / "bags" / "s.zarr" / "0").mkdir(parents=True)
    (place / "bags" / "s.zarr" / "0" / "x.png").write_text("x")
    listed = roots.listing()
    assert sorted(listed) == [
        ("bags-2/two.h5", "bag"),
        ("bags/50%.h5", "bag"),
        ("bags/a.SVS", "slide"),
        ("bags/deep/one.h5", "bag"),
        ("bags/link.h5", "bag"),
        ("bags/picture.tif", "image"),
        ("bags/s.png", "image"),
        ("bags/s.zarr", "slide"),
        ("bags/study", "slide"),
        ("bags/two.H5", "bag"),
    ]
    assert [roots.name_of(roots.resolve(name)) for name, _ in listed] == [name for name, _ in listed]


def test_roots_are_folders(place: Path) -> None:
    with pytest.raises(PathPluginsError, match=r"--root .*two.H5: no such folder; give one"):
        Roots([place / "bags", place / "bags" / "two.H5"])


def test_without_roots_nothing_can_be_named() -> None:
    with pytest.raises(RefusedPathError, match="none was given with --root"):
        Roots([]).resolve("a.h5")
    assert Roots([]).listing() == []
