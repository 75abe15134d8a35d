"""DICOM files are grouped by their series, whatever they are called; what is no slide is told apart."""

from pathlib import Path

import pytest

pytest.importorskip("pydicom")
pytest.importorskip("imagecodecs")

from dicom_slides import write_other, write_series
from slide_formats import picture

from pathplugins.data_tools.slides.errors import SlideError
from pathplugins.data_tools.slides.readers.dicom_series import dicom_files, find_series, series_at

SMALL = picture((150, 110))


def test_series_of_one_folder_are_slides_of_their_own(tmp_path: Path) -> None:
    first = write_series(tmp_path, [SMALL[::2, ::2], SMALL], mpp=0.5, name="x", label=True)
    second = write_series(tmp_path, [SMALL], mpp=0.25, name="y")
    other = write_other(tmp_path / "z.dcm")
    first[0].rename(tmp_path / "1.2.840.99")  # a UID, as archives name files
    found = find_series(dicom_files(tmp_path))
    heads = [(series.files[0].name, len(series.files)) for series in found.slides]
    assert sorted(heads) == [("x_1.dcm", 3), ("y_0.dcm", 1)]
    assert found.others == (other,)
    assert series_at(second[0]).files == (second[0],)
    assert series_at(tmp_path / "1.2.840.99") == series_at(first[1])
    with pytest.raises(SlideError, match=r"holds 2 DICOM slides, wanted one; give one file of the slide: .*y_0\.dcm"):
        series_at(tmp_path)
    with pytest.raises(SlideError, match="no whole-slide image"):
        series_at(other)


def test_a_label_without_its_slide_is_no_slide(tmp_path: Path) -> None:
    base, label = write_series(tmp_path, [SMALL], mpp=0.5, label=True)
    base.unlink()
    found = find_series(dicom_files(tmp_path))
    assert (found.slides, found.others) == ((), (label,))


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    (path,) = write_series(tmp_path, [SMALL], mpp=0.5)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(SlideError, match=r"level_0\.dcm"):
        series_at(path)
