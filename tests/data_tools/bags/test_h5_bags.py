"""H5 files with one slide each: geometry, unit and encoder as they are recorded."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags.h5_bags import open_source, sources

F = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float16)
XY = np.stack([np.arange(7) * 512, np.arange(7) % 2 * 512 + 9000], axis=1)


def stamp(path: Path, **attributes: object) -> Path:
    with h5py.File(path, "w") as file:
        file["feats"], file["coords"] = F, XY * 0.25
        file.attrs.update(attributes)
    return path


def test_stamp_counts_in_microns(tmp_path: Path) -> None:
    path = stamp(tmp_path / "a.1.h5", unit="um", tile_size_um=128.0, tile_size_px=256, extractor="uni")
    (source,) = sources(path, "stamp")
    with open_source(source) as opened:
        assert (source.slide_id, opened.unit, opened.geometry.encoder) == ("a.1", "um", "uni")
        np.testing.assert_array_equal(opened.coords_xy, XY * 0.25)
        np.testing.assert_array_equal(np.concatenate([*opened.blocks]), F)


def test_stamp_without_a_unit_is_refused(tmp_path: Path) -> None:
    (source,) = sources(stamp(tmp_path / "a.h5"), "stamp")
    with (
        pytest.raises(PathPluginsError, match=r"an unknown unit; make them again with STAMP 2\.1"),
        open_source(source),
    ):
        pass


def test_the_folder_of_trident_names_the_encoder(tmp_path: Path) -> None:
    (tmp_path / "features_conch_v15").mkdir()
    with h5py.File(tmp_path / "features_conch_v15" / "a.h5", "w") as file:
        file["features"], file["coords"] = F, XY
        file["coords"].attrs["patch_size_level0"] = 512
    (source,) = sources(tmp_path / "features_conch_v15" / "a.h5", "trident")
    with open_source(source) as opened:
        assert (opened.geometry.encoder, opened.geometry.patch_size_level0) == ("conch_v15", 512)
