from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.data.bags import BagContract, check_bag
from pathplugins.data_tools.slides.svs_writer import write_svs
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
    assert [line.split(":")[0] for line in said.splitlines()] == ["[1/2] a", "[2/2] b"]
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
    assert pathdata(*patch)[1].count("there already") == 1
    assert pathdata(*features)[1].count("there already") == 1
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


def test_bad_slides_do_not_stop_good_ones(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    slides = tmp_path / "slides"
    slides.mkdir()
    whole = (slides_folder / "b.svs").read_bytes()
    (slides / "1cut.svs").write_bytes(whole[: len(whole) // 3])
    Image.new("RGB", (600, 500), (244, 243, 244)).save(slides / "2blank.tif", resolution_unit="cm", x_resolution=20000)
    (slides / "3good.svs").symlink_to(slides_folder / "b.svs")
    out = tmp_path / "out"
    code, said = pathdata("patch", slides, "--out", out)
    assert code == 1
    assert "2 of 3 slides failed" in said
    assert "2blank: " in said
    assert "no tissue found" in said
    assert sorted(p.stem for p in (out / "coords").iterdir()) == ["3good"]
    assert sorted(p.name for p in (out / "errors").iterdir()) == ["1cut.txt", "2blank.txt"]
    assert "Traceback" in (out / "errors" / "1cut.txt").read_text()


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


def test_magnification_is_another_word_for_mpp(pathdata: Pathdata, sharp_slide: Path, tmp_path: Path) -> None:
    for out, option in (("m", ("--magnification", 10)), ("u", ("--mpp", 1.0))):
        assert pathdata("patch", sharp_slide, "--out", tmp_path / out, "--patch-size", 64, *option)[0] == 0
    by_magnification, by_mpp = (read_coords(tmp_path / out / "coords" / "sharp.h5") for out in ("m", "u"))
    assert by_magnification.patch_size_level0 == 256
    assert by_magnification.fingerprint == by_mpp.fingerprint
    assert np.array_equal(by_magnification.coords_xy, by_mpp.coords_xy)


def test_too_sharp_is_refused_with_what_is_possible(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    code, said = pathdata("patch", slides_folder / "a.svs", "--out", tmp_path, "--magnification", 40)
    assert code == 1
    assert "asked for 0.25 um/px but it is 0.5 um/px at its sharpest" in said
    assert "--mpp 0.5" in said


def test_missing_mpp_asks_for_it(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(100, 200, (300, 500, 3), np.uint8)
    pixels[..., 1] //= 2
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    arguments = ("patch", tmp_path / "photo.png", "--out", tmp_path / "out", "--patch-size", 64)
    code, said = pathdata(*arguments)
    assert code == 1
    assert "--slide-mpp" in said
    assert pathdata(*arguments, "--slide-mpp", 0.25)[0] == 0
    patches = read_coords(tmp_path / "out" / "coords" / "photo.h5")
    assert (patches.level0_mpp, patches.mpp_source, patches.patch_size_level0) == (0.25, "--slide-mpp", 128)


def test_contradicting_metadata_are_said(pathdata: Pathdata, tmp_path: Path) -> None:
    level = np.full((400, 300, 3), (200, 120, 170), np.uint8)
    write_svs(tmp_path / "s.svs", [level], mpp=0.25, magnification=20)
    code, said = pathdata("patch", tmp_path / "s.svs", "--out", tmp_path / "out", "--patch-size", 64)
    assert code == 0
    assert "20x but 0.25 um/px" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("patch", "nowhere.svs", "--out", "out"), "no such file or folder"),
        (("patch", "nowhere.svs", "--out", "out", "--overlap", 300), "--overlap must be in"),
        (("patch", "nowhere.svs", "--out", "out", "--magnification", 0), "--magnification must be above 0"),
        (("features", "nowhere", "--encoder", "test_vit"), "run pathdata patch"),
        (("demo-slide", "s.svs", "--kind", 7), "--kind 7"),
    ],
)
def test_misuse_is_one_line(pathdata: Pathdata, arguments: tuple[object, ...], message: str) -> None:
    code, said = pathdata(*arguments)
    assert code == 2
    assert message in said
    assert len(said.splitlines()) == 1


def test_features_without_weights_downloads_nothing(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    assert pathdata("patch", slides_folder / "a.svs", "--out", tmp_path)[0] == 0
    code, said = pathdata("features", tmp_path, "--encoder", "gigapath")
    assert code == 2
    for option in ("--download", "--weights", "--random-weights", "prov-gigapath/prov-gigapath", "hf auth login"):
        assert option in said


def test_demo_slide_is_not_overwritten_unasked(pathdata: Pathdata, tmp_path: Path) -> None:
    arguments = ("demo-slide", tmp_path / "d.svs", "--size", "400x300", "--kind", 2)
    assert pathdata(*arguments)[0] == 0
    first = (tmp_path / "d.svs").read_bytes()
    code, said = pathdata(*arguments, "--seed", 1)
    assert code == 2
    assert "--overwrite" in said
    assert pathdata(*arguments, "--seed", 1, "--overwrite")[0] == 0
    assert (tmp_path / "d.svs").read_bytes() != first


def test_encoders_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    from pathplugins.data_tools.cli import main

    assert main(["encoders"]) == 0
    assert "gigapath" in capsys.readouterr().out
