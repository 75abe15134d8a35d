"""PathGen's MIL features: a slide per group of one file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags.pathgen_mil import open_source, sources

F = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float16)
XY = np.stack([np.arange(7) * 512, np.arange(7) % 2 * 512 + 9000], axis=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "feats.h5", "w") as file:
        for name in ("b.1", "a"):
            file[f"{name}/feat"], file[f"{name}/coords"] = F + len(name), XY.astype(np.int32)
    return tmp_path / "feats.h5"


def test_a_slide_per_group(file: Path) -> None:
    found = sources(file, "pathgen-mil")
    assert [source.slide_id for source in found] == ["a", "b.1"]
    with open_source(found[1]) as opened:
        np.testing.assert_array_equal(np.concatenate([*opened.blocks]), F + np.float16(3))
        np.testing.assert_array_equal(opened.coords_xy, XY)
        assert (opened.rows, opened.width, opened.dtype, opened.unit) == (7, 3, "float16", "px0")


def test_links_are_not_followed(file: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "links.h5", "w") as links:
        links["a"] = h5py.ExternalLink(str(file), "a")
    (source,) = sources(tmp_path / "links.h5", "pathgen-mil")
    with pytest.raises(PathPluginsError, match=r"links\.h5\[a\]: is a link .*copy the data"), open_source(source):
        pass


def test_rows_and_positions_must_be_as_many(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "feats.h5", "w") as file:
        file["a/feat"], file["a/coords"] = F, XY[:3]
    (source,) = sources(tmp_path / "feats.h5", "pathgen-mil")
    with pytest.raises(PathPluginsError, match=r"feats\.h5\[a\]"), open_source(source):
        pass
