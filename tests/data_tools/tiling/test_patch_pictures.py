import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.slides.slide import Slide
from pathplugins.data_tools.tiling.coord_files import PatchSet, read_coords
from pathplugins.data_tools.tiling.one_slide import patch_slide
from pathplugins.data_tools.tiling.spec import PatchFormat, TilingSpec

pytest.importorskip("openslide")

SPEC = TilingSpec(patch_size=120)


@pytest.fixture
def slide_path(sharp_slide: Path, tmp_path: Path) -> Path:
    """With dots in its name, as those of TCGA."""
    path = tmp_path / "slides" / "case.1-A.svs"
    path.parent.mkdir()
    path.symlink_to(sharp_slide)
    return path


def saved(slide: Path, out: Path, kind: PatchFormat | None, *, overwrite: bool = False) -> tuple[str, PatchSet]:
    outcome = patch_slide(slide, out, replace(SPEC, save_patches=kind), overwrite=overwrite)
    return outcome.status, read_coords(out / "coords" / f"{slide.stem}.h5")


def stamps(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_none_are_written_unasked(slide_path: Path, tmp_path: Path) -> None:
    saved(slide_path, tmp_path / "out", None)
    assert not (tmp_path / "out" / "patches").exists()


@pytest.mark.parametrize(("kind", "suffix"), [("png", "png"), ("jpeg", "jpg")])
def test_a_folder_of_pictures(slide_path: Path, tmp_path: Path, kind: PatchFormat, suffix: str) -> None:
    _, patches = saved(slide_path, tmp_path / "out", kind)
    folder = tmp_path / "out" / "patches" / "case.1-A"
    names = {f"case.1-A_{x}_{y}.{suffix}" for x, y in patches.coords_xy.tolist()}
    assert {p.name for p in folder.iterdir()} == names
    assert len(names) > 5
    assert sorted(p.name for p in folder.parent.iterdir()) == ["case.1-A", "case.1-A.json"]
    with Slide(slide_path) as slide:
        for x, y in patches.coords_xy[::4].tolist():
            picture = Image.open(folder / f"case.1-A_{x}_{y}.{suffix}")
            assert (picture.mode, picture.size) == ("RGB", (120, 120))
            off = np.abs(np.asarray(picture, int) - slide.read(x, y, (240, 240), (120, 120)))
            assert off.max() == 0 if kind == "png" else off.mean() < 6
    record = json.loads((folder.parent / "case.1-A.json").read_text())
    assert record["patches"] == len(names)
    assert (record["settings"]["save_patches"], record["settings"]["patch_size"]) == (kind, 120)


def test_a_webdataset_tar(slide_path: Path, tmp_path: Path) -> None:
    _, patches = saved(slide_path, tmp_path / "out", "webdataset")
    path = tmp_path / "out" / "patches" / "case.1-A.tar"
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        names = [member.name for member in members]
        samples = {name: tar.extractfile(name).read() for name in names}
    assert names == sorted(names)
    keys = [name.split(".")[0] for name in names]  # as WebDataset cuts them
    assert keys[0::2] == keys[1::2]
    assert len({*keys}) == len(patches.coords_xy) == len(names) / 2
    assert {(member.mtime, member.uid, member.gid, member.uname, member.mode) for member in members} == (
        {(0, 0, 0, "", 0o644)}
    )
    for row, key in enumerate(keys[0::2]):
        facts = json.loads(samples[f"{key}.json"])
        x, y = patches.coords_xy[row].tolist()
        assert facts == {
            **{"slide": "case.1-A", "row": row, "x": x, "y": y},
            **{"patch_size": 120, "patch_size_level0": 240, "mpp": 0.5},
        }
        assert samples[f"{key}.jpg"].startswith(b"\xff\xd8")
    saved(slide_path, tmp_path / "again", "webdataset")
    assert (tmp_path / "again" / "patches" / "case.1-A.tar").read_bytes() == path.read_bytes()


def test_they_can_be_had_later_and_are_not_made_twice(slide_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert saved(slide_path, out, None)[0] == "done"
    found = stamps(out)
    assert saved(slide_path, out, "jpeg")[0] == "done"
    assert found.items() <= stamps(out).items()  # what was there is what they were made from
    with_pictures = stamps(out)
    for kind in ("jpeg", None):
        assert saved(slide_path, out, kind)[0] == "skipped"
    assert stamps(out) == with_pictures


@pytest.mark.parametrize("kind", ["jpeg", "webdataset"])
def test_what_a_killed_run_left_is_done_again(slide_path: Path, tmp_path: Path, kind: PatchFormat) -> None:
    out = tmp_path / "out"
    _, patches = saved(slide_path, out, kind)
    (out / "patches" / "case.1-A.json").unlink()  # killed before the last step
    if kind == "jpeg":
        (out / "patches" / "case.1-A" / "junk.jpg").write_text("")
    assert saved(slide_path, out, kind)[0] == "done"
    if kind == "jpeg":
        assert len(list((out / "patches" / "case.1-A").iterdir())) == len(patches.coords_xy)
    assert (out / "patches" / "case.1-A.json").exists()
    assert not list((out / "patches").glob(".*"))


def test_a_failure_leaves_nothing_half_written(slide_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    saved(slide_path, out, None)
    whole = slide_path.resolve().read_bytes()
    slide_path.unlink()
    slide_path.write_bytes(whole[:8] + bytes(len(whole) // 2) + whole[8 + len(whole) // 2 :])  # the tiles are gone
    for kind in ("png", "webdataset"):
        with pytest.raises(Exception, match=r"\w"):
            saved(slide_path, out, kind)
        assert not list((out / "patches").rglob("*"))


def test_other_settings_are_refused_and_overwritten_when_asked(slide_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    saved(slide_path, out, "jpeg")
    with pytest.raises(PathPluginsError, match=r"save_patches jpeg; this run has .*save_patches png: pass --overwrite"):
        saved(slide_path, out, "png")
    outcome = patch_slide(slide_path, out, TilingSpec(patch_size=100), overwrite=True)
    assert any("case.1-A.json describes pictures made with other settings" in note for note in outcome.notes)
    with pytest.raises(PathPluginsError, match="patch_size 120; this run has patch_size 100"):
        patch_slide(slide_path, out, TilingSpec(patch_size=100, save_patches="jpeg"))
    outcome = patch_slide(slide_path, out, TilingSpec(patch_size=100, save_patches="jpeg"), overwrite=True)
    assert outcome.notes == ()
    assert len(list((out / "patches" / "case.1-A").iterdir())) == outcome.patches
