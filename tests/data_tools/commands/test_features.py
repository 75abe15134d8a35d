"""``pathdata features``: from patches to bags, only what is missing, never from other settings."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pathplugins.data.bags import BagContract, check_bag
from pathplugins.data_tools.tiling.coord_files import read_coords

pytest.importorskip("openslide")
pytest.importorskip("timm")

Pathdata = Callable[..., tuple[int, str]]
RANDOM = ("--encoder", "test_vit", "--random-weights", 0, "--device", "cpu")


def modified(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_from_slides_to_bags(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    one_by_one = ("--workers", 1)  # side by side, the second may end first
    code, said = pathdata("patch", slides_folder, "--out", tmp_path, "--patch-size", 160, *one_by_one)
    assert code == 0, said
    assert [line.split(":")[0] for line in said.splitlines()] == ["[1/2] a", "[2/2] b", "mean of 2 slides"]
    code, said = pathdata("features", tmp_path, *RANDOM)
    assert code == 0, said
    for name in ("a", "b"):
        info = check_bag(tmp_path / "bags" / f"{name}.h5", BagContract(feature_dim=64))
        assert info.encoder == "test_vit (random weights, seed 0)"
        assert info.rows == len(read_coords(tmp_path / "coords" / f"{name}.h5").coords_xy)
    assert sorted(name for name in modified(tmp_path) if not name.startswith("state/")) == [
        *("bags/a.h5", "bags/b.h5", "coords/a.h5", "coords/b.h5"),
        *("geojson/a.geojson", "geojson/b.geojson", "overlays/a.png", "overlays/b.png", "process_list.csv"),
    ]


def test_resume_redoes_only_what_is_gone(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    patch = ("patch", slides_folder, "--out", tmp_path, "--patch-size", 160)
    features = ("features", tmp_path, *RANDOM)
    assert [pathdata(*patch)[0], pathdata(*features)[0]] == [0, 0]
    before = modified(tmp_path)
    (tmp_path / "overlays" / "a.png").unlink()
    (tmp_path / "bags" / "b.h5").unlink()
    assert pathdata(*patch)[1].count("exists already") == 1
    assert pathdata(*features)[1].count("exists already") == 1
    after = modified(tmp_path)
    changed = {name for name in after if after[name] != before.get(name) and not name.startswith("state/")}
    assert changed == {"overlays/a.png", "geojson/a.geojson", "coords/a.h5", "bags/b.h5"}
    assert after.keys() == before.keys()


def test_other_settings_name_both_and_want_overwrite(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    slide = slides_folder / "a.svs"
    assert pathdata("patch", slide, "--out", tmp_path, "--patch-size", 160)[0] == 0
    code, said = pathdata("patch", slide, "--out", tmp_path, "--patch-size", 128)
    assert code == 1
    assert "patch_size 160; this run has patch_size 128: pass --overwrite" in said
    assert pathdata("patch", slide, "--out", tmp_path, "--patch-size", 128, "--overwrite")[0] == 0
    assert read_coords(tmp_path / "coords" / "a.h5").patch_size == 128
    assert not list((tmp_path / "errors").iterdir())  # solved
    assert pathdata("features", tmp_path, *RANDOM)[0] == 0
    code, said = pathdata("features", tmp_path, "--encoder", "test_vit", "--random-weights", 1)
    assert code == 1
    assert "seed 0" in said
    assert "seed 1" in said


def test_a_slide_that_breaks_while_read_fails_alone(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    slides = tmp_path / "slides"
    slides.mkdir()
    for name in ("a", "b"):
        (slides / f"{name}.svs").write_bytes((slides_folder / f"{name}.svs").read_bytes())
    assert pathdata("patch", slides, "--out", tmp_path / "out", "--patch-size", 160)[0] == 0
    content = bytearray((slides / "a.svs").read_bytes())
    content[8 : len(content) // 2] = bytes(len(content) // 2 - 8)  # the tiles, not the directories at the end
    (slides / "a.svs").write_bytes(content)
    code, said = pathdata("features", tmp_path / "out", *RANDOM)
    assert code == 1
    assert "1 of 2 slides failed" in said
    assert [p.name for p in (tmp_path / "out" / "bags").iterdir()] == ["b.h5"]


def test_features_without_weights_downloads_nothing(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    assert pathdata("patch", slides_folder / "a.svs", "--out", tmp_path)[0] == 0
    code, said = pathdata("features", tmp_path, "--encoder", "gigapath")
    assert code == 2
    for option in ("--download", "--weights", "--random-weights", "prov-gigapath/prov-gigapath", "hf auth login"):
        assert option in said
