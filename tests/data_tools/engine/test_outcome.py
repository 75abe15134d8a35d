"""Files of other settings are refused with both settings named."""

from pathlib import Path

import h5py
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.engine.outcome import check_same_settings, recorded_settings


def test_the_same_settings_pass() -> None:
    check_same_settings(Path("a.h5"), found='{"mpp": 0.5}', wanted='{"mpp": 0.5}')


def test_each_setting_that_differs_is_named_and_no_other(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError) as raised:
        check_same_settings(
            tmp_path / "a.h5", found='{"mpp": 0.5, "size": 256, "old": null}', wanted='{"mpp": 1.0, "size": 256}'
        )
    assert str(raised.value) == (
        f"{tmp_path / 'a.h5'} was made with mpp 0.5, old None; this run has mpp 1.0, old not set: "
        "pass --overwrite to redo it, or another --out to keep both"
    )


def test_settings_of_a_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "ours.h5", "w") as file:
        file.attrs["made_with"] = '{"mpp": 0.5}'
    assert recorded_settings(tmp_path / "ours.h5", "made_with") == '{"mpp": 0.5}'
    assert recorded_settings(tmp_path / "ours.h5", "another") == "{}"
    (tmp_path / "cut.h5").write_bytes((tmp_path / "ours.h5").read_bytes()[:300])
    with pytest.raises(PathPluginsError, match=r"cut\.h5: not a readable HDF5 file .*; delete it or pass --overwrite"):
        recorded_settings(tmp_path / "cut.h5", "made_with")
