"""`pathdata convert slides`: what is said of wrong options before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.commands.convert_slides import SlidesOptions

Pathdata = Callable[..., tuple[int, str]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split", "train"), "--split: not an option of --from labels; leave it out"),
        (("--per-slide", 0), "--per-slide must be at least 1, got 0"),
        (("--quality", 0), "--quality must be 1 to 100, got 0"),
        (("--out", "x.csv"), "is neither .json nor .jsonl"),
        (("--from", "wsi-csv", "--choices", "none"), "--choices: not an option of --from wsi-csv"),
        (("--patches", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_wrong_options(pathdata: Pathdata, tmp_path: Path, words: tuple[object, ...], message: str) -> None:
    (tmp_path / "in.csv").write_text("slide,label\na,b\nc,d\n")
    (tmp_path / "work" / "coords").mkdir(parents=True)
    (tmp_path / "work" / "coords" / "a.h5").touch()
    usual = ("convert", "slides", tmp_path / "in.csv", "--from", "labels", "--patches", tmp_path / "work")
    code, said = pathdata(*usual, "--out", tmp_path / "o.json", *words)
    assert code == 2
    assert message in said


def test_a_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "slides.json").touch()
    options = SlidesOptions(source=Path("in"), patches=tmp_path, out=tmp_path)
    with pytest.raises(PathPluginsError, match="exists; pass --overwrite"):
        options.file(overwrite=False)
    assert options.file(overwrite=True) == tmp_path / "slides.json"
