"""``pathdata run`` writes the bags that ``patch`` and ``features`` write one after the other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pathplugins.data.bags import BagContract, check_bag

pytest.importorskip("openslide")
pytest.importorskip("timm")

Pathdata = Callable[..., tuple[int, str]]
RANDOM = ("--encoder", "test_vit", "--random-weights", 0, "--device", "cpu")


def test_one_command_or_two_write_the_same_bags(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    tiling = ("--patch-size", 160, "--min-tissue", 0.5)
    one, two = tmp_path / "one", tmp_path / "two"
    assert pathdata("run", slides_folder, "--out", one, *tiling, *RANDOM)[0] == 0
    assert pathdata("patch", slides_folder, "--out", two, *tiling)[0] == 0
    assert pathdata("features", two, *RANDOM)[0] == 0
    for name in ("a", "b"):
        assert check_bag(one / "bags" / f"{name}.h5", BagContract(feature_dim=64)).rows > 5
        assert (one / "bags" / f"{name}.h5").read_bytes() == (two / "bags" / f"{name}.h5").read_bytes()


def test_options_that_cannot_be_used_stop_it_before_a_model_is_loaded(
    pathdata: Pathdata, slides_folder: Path, tmp_path: Path
) -> None:
    words = ("run", slides_folder, "--out", tmp_path / "out", "--encoder", "gigapath", "--download")
    for wrong, message in (
        (("--readers", 0), "--readers must be at least 1, got 0"),
        (("--workers", 0), "--workers must be at least 1, got 0"),
        (("--mask-class", "Tumor"), "--mask-class Tumor is a class of a GeoJSON; say which with --mask"),
        (("--patch-size", 64, "--overlap", 64), "--overlap must be in [0, --patch-size 64), got 64"),
    ):
        code, said = pathdata(*words, *wrong)
        assert (code, said.count("\n")) == (2, 1)
        assert message in said
    assert not (tmp_path / "out").exists()
