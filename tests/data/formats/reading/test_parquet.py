"""Parquet files whose rows hold their images."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.parquet import image_to_file, read_parquet
from pathplugins.data.formats.reading.rows import BadRowError


def encoded(kind: str) -> bytes:
    picture = io.BytesIO()
    Image.new("RGB", (13, 7), "pink").save(picture, kind)
    return picture.getvalue()


def test_rows_are_numbered_across_batches(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"image": [b"x"] * 130, "question": [f"q{n}" for n in range(130)], "more": [0] * 130})
    parquet.write_table(table, tmp_path / "a.parquet")
    rows = [*read_parquet(tmp_path / "a.parquet", ("image", "question"))]
    assert [row.number for row in rows] == [*range(1, 131)]
    assert rows[129].cells == {"image": b"x", "question": "q129"}
    with pytest.raises(PathPluginsError, match="lacks the columns answer; it has image, question, more"):
        next(read_parquet(tmp_path / "a.parquet", ("answer",)))
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole.replace(b"question", b"quest\xf1on"))
    with pytest.raises(PathPluginsError, match=r"not a readable Parquet file"):
        next(read_parquet(tmp_path / "a.parquet", ("image",)))
    (tmp_path / "a.parquet").write_bytes(b"text")
    with pytest.raises(PathPluginsError, match=r"not a readable Parquet file .*download the file again"):
        next(read_parquet(tmp_path / "a.parquet", ("image",)))


def test_equal_images_are_one_file_and_paths_are_not_trusted(tmp_path: Path) -> None:
    value = {"bytes": encoded("JPEG"), "path": "../../evil.sh"}
    name = image_to_file(value, folder=tmp_path, prefix="train")
    assert image_to_file(encoded("JPEG"), folder=tmp_path, prefix="train") == name
    assert name.startswith("train_")
    assert name.endswith(".jpg")
    assert image_to_file(encoded("PNG"), folder=tmp_path, prefix="train").endswith(".png")
    assert len([*tmp_path.iterdir()]) == 2
    assert (tmp_path / name).read_bytes() == value["bytes"]


@pytest.mark.parametrize(
    ("value", "reason"), [(None, "no image"), ({"bytes": b""}, "no image"), (b"text", "unreadable file")]
)
def test_what_is_no_image(tmp_path: Path, value: object, reason: str) -> None:
    with pytest.raises(BadRowError) as error:
        image_to_file(value, folder=tmp_path, prefix="x")
    assert (error.value.reason, [*tmp_path.iterdir()]) == (reason, [])
