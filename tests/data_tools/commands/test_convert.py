"""``pathdata convert``: which file it writes, and what is said of wrong options before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.cli import main
from pathplugins.data_tools.commands.convert import ConvertOptions

Pathdata = Callable[..., tuple[int, str]]


def options(out: Path, **more: object) -> ConvertOptions:
    return ConvertOptions(format="wsi-csv", source=Path("in.csv"), out=out, to="wsi-csv", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lava", "in.json"), "unknown value 'lava'. Did you mean llava?"),
        (("llava", "in.json", "--to", "share-gpt"), "unknown value 'share-gpt'. Did you mean sharegpt?"),
        (("llava", "in.json", "--to", "llava", "--max-pixel", "3", "--naming", "slides"), "Did you mean slide?"),
    ],
)
def test_a_near_name_is_suggested(capfd: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["convert", *words, "--out", "out.json"])
    assert message in capfd.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"max_pixels": 0}, "--max-pixels must be above 0, got 0; the default is"),
        ({"image_suffix": "h5"}, "--image-suffix must begin with a dot, as in .h5; got 'h5'"),
        ({"to": None}, "pass --image-folder DIR with the images"),
    ],
)
def test_options_judge_themselves(more: dict[str, object], message: str) -> None:
    with pytest.raises(PathPluginsError) as error:
        ConvertOptions(**{"format": "llava", "source": Path("a"), "out": Path("b"), "to": "llava", **more})  # type: ignore[arg-type]
    assert message in str(error.value)


def test_a_folder_gets_a_file_named_after_the_format(tmp_path: Path) -> None:
    assert options(tmp_path).file() == tmp_path / "wsi_csv.csv"
    assert options(tmp_path / "new").file() == tmp_path / "new" / "wsi_csv.csv"
    assert options(tmp_path / "new.json").file() == tmp_path / "new.json"


def test_a_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    with pytest.raises(PathPluginsError, match=r"--out .*out\.csv exists; pass --overwrite"):
        options(out).file()
    assert options(out, overwrite=True).file() == options(out, dry_run=True).file() == out
    with pytest.raises(PathPluginsError, match="is the source itself"):
        ConvertOptions(format="llava", source=out, out=out, to="llava", overwrite=True).file()


def test_features_have_options_of_their_own(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["convert", "features", "--help"])
    assert "--patch-size-level0" in capfd.readouterr().out
