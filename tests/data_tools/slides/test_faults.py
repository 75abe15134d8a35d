"""Slides whose headers say what cannot be: an error that names the file, whatever the reader raises."""

import struct
from pathlib import Path

import numpy as np
import pytest

from pathplugins.data_tools.slides.damage import damage
from pathplugins.data_tools.slides.errors import SlideError
from pathplugins.data_tools.slides.faults import FAULTS, faults_named
from pathplugins.data_tools.slides.slide import Slide


def raise_inside(error: Exception) -> None:
    with faults_named(Path("a.tif"), doing="opening it"):
        raise error


@pytest.mark.parametrize("kind", [*FAULTS, MemoryError])
def test_what_a_reader_raises_names_the_file(kind: type[Exception]) -> None:
    with pytest.raises(SlideError, match=r"a\.tif: opening it (failed|asks for more memory)"):
        raise_inside(kind())


def test_an_error_of_openslide_names_the_file() -> None:
    openslide = pytest.importorskip("openslide")
    with pytest.raises(SlideError, match=r"a\.tif: opening it failed \(OpenSlideError: no\)"):
        raise_inside(openslide.OpenSlideError("no"))


def test_errors_of_ours_stay_as_they_are() -> None:
    with pytest.raises(SlideError, match=r"^as it is$"):
        raise_inside(SlideError("as it is"))


def test_a_level_without_width_is_refused(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        common = {"photometric": "rgb", "tile": (64, 64), "compression": "lzw"}
        file.write(np.full((128, 192, 3), 7, np.uint8), subifds=1, metadata={"axes": "YXS"}, **common)
        file.write(np.full((64, 96, 3), 7, np.uint8), subfiletype=1, **common)
    content = path.read_bytes()
    wide, none = (struct.pack("<HHII", 256, kind, 1, px) for kind, px in ((4, 96), (4, 0)))  # tag, 32 bit, one value
    assert content.count(wide) == 1
    path.write_bytes(content.replace(wide, none))
    with pytest.raises(SlideError, match=r"a\.ome\.tif"):
        Slide(path)


def test_a_directory_behind_the_last_place_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"II+\0" + struct.pack("<HHQ", 8, 0, 2**64 - 1) + bytes(32))
    assert "cut off" in damage(path)
