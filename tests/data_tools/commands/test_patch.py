"""``pathdata patch``: bad slides stop no good ones; resolutions are asked for, compared and never guessed."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from pathplugins.data.bags import read_bag
from pathplugins.data_tools.slides.svs_writer import write_svs
from pathplugins.data_tools.tiling.coord_files import read_coords

pytest.importorskip("openslide")

Pathdata = Callable[..., tuple[int, str]]


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


def test_magnification_is_another_word_for_mpp(pathdata: Pathdata, sharp_slide: Path, tmp_path: Path) -> None:
    for out, option in (("m", ("--magnification", 10)), ("u", ("--mpp", 1.0))):
        assert pathdata("patch", sharp_slide, "--out", tmp_path / out, "--patch-size", 64, *option)[0] == 0
    by_magnification, by_mpp = (read_coords(tmp_path / out / "coords" / "sharp.h5") for out in ("m", "u"))
    assert by_magnification.patch_size_level0 == 256
    assert by_magnification.fingerprint == by_mpp.fingerprint
    assert np.array_equal(by_magnification.coords_xy, by_mpp.coords_xy)


def test_patches_of_another_tool_become_bags(pathdata: Pathdata, sharp_slide: Path, tmp_path: Path) -> None:
    xy = np.array([[612, 305], [40, 8]])
    (tmp_path / "trident").mkdir()
    with h5py.File(tmp_path / "trident" / "sharp_patches.h5", "w") as file:
        file["coords"] = xy
        file["coords"].attrs.update({"patch_size": 64, "patch_size_level0": 128})
    arguments = ("patch", sharp_slide, "--out", tmp_path / "out", "--coords", tmp_path / "trident")
    code, said = pathdata(*arguments, "--patch-size", 64, "--min-tissue", 0.5)
    assert code != 0
    assert "leave out --patch-size, --min-tissue, or --coords" in said
    assert pathdata(*arguments)[0] == 0
    encoder = ("--encoder", "test_vit", "--random-weights", 0, "--device", "cpu")
    assert pathdata("features", tmp_path / "out", *encoder)[0] == 0
    bag = read_bag(tmp_path / "out" / "bags" / "sharp.h5")
    assert len(bag.features) == 2
    assert np.array_equal(bag.coords_xy, xy // 2)


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


def test_what_is_left_out_is_counted_and_unusual_slides_are_questioned(
    pathdata: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """In the line of each slide, in the process list, and as a mean at the end; also for slides that are done."""
    Image.new("RGB", (700, 500), (205, 130, 180)).save(tmp_path / "full.png")
    inked = Image.new("RGB", (700, 500), (243, 242, 244))
    inked.paste((205, 130, 180), (0, 0, 200, 200))
    inked.paste((20, 140, 80), (350, 0, 700, 500))
    inked.save(tmp_path / "inked.png")
    command = ("patch", tmp_path / "full.png", tmp_path / "inked.png", "--out", tmp_path / "w", "--slide-mpp", 1)
    for _ in range(2):
        code, said = pathdata(*command, "--patch-size", 60, "--mpp", 1, "--workers", 1)
        assert code == 0
        assert "100% of the area is tissue, 0% ink, 0% black; question: all of the slide is called tissue" in said
        assert "11% of the area is tissue, 60% ink, 0% black; question: over half of the slide is called ink" in said
        assert "mean of 2 slides: 56% of the area is tissue, 30% ink, 0% black; 2 to question: full, inked" in said
    text = (tmp_path / "w" / "process_list.csv").read_text()
    assert "question: all of the slide is called tissue" in text
    command = ("patch", tmp_path / "inked.png", "--out", tmp_path / "v", "--slide-mpp", 1, "--mpp", 1)
    code, said = pathdata(*command, "--patch-size", 250, "--min-tissue", 1)
    assert code == 1
    assert "60% ink" in said
    assert "--keep-pen" in said
