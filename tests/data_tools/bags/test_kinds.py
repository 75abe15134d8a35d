"""Kinds of feature files, told from their content."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags.kinds import feature_columns, kind_of

F, XY = np.zeros((5, 3), np.float32), np.zeros((5, 2), np.int32)


def h5(path: Path, datasets: dict[str, np.ndarray], **attributes: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file[name] = data
        file.attrs.update(attributes)
    return path


@pytest.mark.parametrize(
    ("datasets", "attributes", "kind"),
    [
        ({"features": F, "coords_yx": XY}, {"tool_version": "pathplugins 1"}, "pathplugins"),
        ({"features": F, "coords_yx": XY}, {}, "unpuzzle"),
        ({"features": F, "coords": XY}, {}, "clam"),
        ({"feats": F, "coords": XY}, {}, "stamp"),
        ({"coords": XY}, {}, "patches"),
        ({"features": F[0]}, {}, "slide-embedding"),
        ({"features": F[:1]}, {}, "slide-embedding"),
        ({"feats": F[0]}, {"feat_type": "slide"}, "slide-embedding"),
        ({"a/feat": F, "a/coords": XY, "b/feat": F, "b/coords": XY}, {}, "pathgen-mil"),
    ],
)
def test_h5_files(tmp_path: Path, datasets: dict, attributes: dict, kind: str) -> None:
    assert kind_of(h5(tmp_path / "a.h5", datasets, **attributes)) == kind


def test_trident_records_more_than_clam(tmp_path: Path) -> None:
    path = h5(tmp_path / "a.h5", {"features": F, "coords": XY})
    with h5py.File(path, "a") as file:
        file["coords"].attrs["patch_size_level0"] = 512
    assert kind_of(path) == "trident"


def test_tables_and_tensors(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\ufeff0,1,2\n1,2,3\n", encoding="utf-8")
    assert kind_of(tmp_path / "a.csv") == "slidechat-csv"
    assert feature_columns(tmp_path / "a.csv") == 3
    (tmp_path / "b.csv").write_text("id,label\n1,2\n")
    assert feature_columns(tmp_path / "b.csv") is None
    with pytest.raises(PathPluginsError, match="its first line is not 0,1,2,"):
        kind_of(tmp_path / "b.csv")
    (tmp_path / "c.pt").write_bytes(b"anything")
    assert kind_of(tmp_path / "c.pt") == "wsi-llava-pt"


def test_nothing_known(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="no such file; give a file of features or positions"):
        kind_of(tmp_path / "a.h5")
    with pytest.raises(PathPluginsError, match="holds more, other; expected `features` with"):
        kind_of(h5(tmp_path / "a.h5", {"other": F, "more": F}))
