"""Opening: each kind of file meets its reader, and what is no slide is refused by its name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from slide_formats import WRITTEN, ome, picture, planes, png, tiff

from pathplugins.core.errors import MissingDependencyError
from pathplugins.data_tools.slides.errors import SlideError
from pathplugins.data_tools.slides.slide import Slide

pytest.importorskip("openslide")
tifffile = pytest.importorskip("tifffile")
pytest.importorskip("imagecodecs")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("bag.h5", b"\x89HDF\r\n\x1a\n" + bytes(90), "HDF5.*pathdata inspect"),
        ("s.svs", b"\x89HDF\r\n\x1a\n" + bytes(90), "HDF5"),
        ("s.zip", b"PK\x03\x04" + bytes(90), "ZIP"),
        ("s.svs", b"\x1f\x8b\x08" + bytes(90), "gzip"),
        ("s.tif", bytes(257) + b"ustar" + bytes(300), "tar"),
        ("s.svs", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("s.svs", b"%PDF-1.7" + bytes(90), "PDF"),
        ("s.svs", b"SIMPLE  =" + bytes(90), "neither OpenSlide"),
    ],
)
def test_files_of_another_kind_are_named(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SlideError, match=rf"{name}: .*{told}"):
        Slide(tmp_path / name)


def test_folders_that_are_no_slides_are_named(tmp_path: Path) -> None:
    (tmp_path / "slide").mkdir()
    with pytest.raises(SlideError, match="neither DICOM nor OME-Zarr"):
        Slide(tmp_path / "slide")
    (tmp_path / "slide" / "Slidedat.ini").touch()
    with pytest.raises(SlideError, match=r"data of an MRXS slide; give slide\.mrxs"):
        Slide(tmp_path / "slide")


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda folder: ome(folder, planes(picture()), axes="CYX", photometric="minisblack",
                            meta={"Channel": {"Name": ["DAPI", "FITC", "Cy5"]}}), "DAPI, FITC, Cy5"),
        (lambda folder: ome(folder, np.stack([picture()] * 2), axes="TYXS"), "2 planes along the axis T"),
        (lambda folder: ome(folder, (picture().astype(np.uint16) * 16)), "SignificantBits"),
        (lambda folder: ome(folder, picture().astype(np.float32), compression=None), "8-bit RGB"),
        (lambda folder: tiff(folder, np.stack([picture()[..., 0]] * 5), photometric="minisblack"), "5 grey channels"),
    ],
    ids=["fluorescence", "time", "depth", "float", "stack"],
)  # fmt: skip
def test_what_would_be_misread_is_refused(tmp_path: Path, write, told: str) -> None:  # noqa: ANN001
    with pytest.raises(SlideError, match=told):
        Slide(write(tmp_path))


def test_a_grey_slide_and_a_strip_of_deep_pixels_are_read(tmp_path: Path) -> None:
    wanted = picture()
    grey = tiff(tmp_path, np.ascontiguousarray(wanted[..., 0]), photometric="minisblack", compression="lzw")
    with Slide(grey) as slide:
        assert slide.reader == "openslide"
        assert np.array_equal(slide.read(9, 9, (99, 77), (99, 77)), wanted[9:86, 9:108, :1].repeat(3, 2))
    deep = np.round(wanted * 257.0).astype(np.uint16)
    tifffile.imwrite(tmp_path / "d.tif", 65535 - deep[..., 0], photometric="miniswhite", rowsperstrip=32)
    with Slide(tmp_path / "d.tif") as slide:
        assert slide.reader == "tifffile"
        assert np.array_equal(slide.read(9, 9, (99, 77), (99, 77)), wanted[9:86, 9:108, :1].repeat(3, 2))


def test_a_damaged_tile_of_tifffile_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tiff(tmp_path, picture(), compression="jpeg2000")
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages[0].dataoffsets[5], file.pages[0].databytecounts[5]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = bytes(count)
    path.write_bytes(data)
    with Slide(path) as slide:
        with pytest.raises(SlideError, match=r"s\.tif: tile 5 of its directory 0 does not decode"):
            slide.read(150, 150, (20, 20), (20, 20))
        assert np.array_equal(slide.read(0, 0, (99, 77), (99, 77)), picture()[:77, :99])


@pytest.mark.parametrize("package", ["wsidicom", "zarr", "pylibCZIrw"])
def test_a_missing_reader_is_named_with_its_extra(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(package)
    case = next(written for written in WRITTEN.values() if written.reader == package)
    path = case.write(tmp_path, picture())
    lost = {name: None if name.split(".")[0] == package else module for name, module in sys.modules.items()}
    monkeypatch.setattr(sys, "modules", {**lost, package: None})
    with pytest.raises(MissingDependencyError, match=f"{package}.*install"):
        Slide(path)


def test_a_photo_given_by_name_is_read(tmp_path: Path) -> None:
    with Slide(png(tmp_path, picture())) as slide:
        assert (slide.reader, slide.notes) == ("openslide", ())
    Image.new("I;16", (30, 20)).save(tmp_path / "deep.png")
    with pytest.raises(SlideError, match="8-bit RGB"):
        Slide(tmp_path / "deep.png")


def test_what_is_left_out_of_a_file_is_noted(tmp_path: Path) -> None:
    with Slide(WRITTEN["OME-TIFF", "label before the scan"].write(tmp_path, picture())) as slide:
        assert "holds 2 images; read is the largest, 'scan'" in slide.notes[0]
    with Slide(WRITTEN["OME-TIFF", "focal planes"].write(tmp_path, picture())) as slide:
        assert slide.notes == ("s.ome.tif has 3 focal planes; read is number 2",)
