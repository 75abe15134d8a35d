"""OpenPath, whose images cannot be had (P19)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.open_path import read_open_path


@pytest.mark.parametrize("read", [read_open_path, read_open_path.stream])
def test_p19_open_path_says_what_cannot_be_had_and_what_can(tmp_path: Path, read: Any) -> None:
    (tmp_path / "openpath.csv").write_text("tw_id,img_position\n1,0\n2,1\n")
    with pytest.raises(PathPluginsError) as error:
        read(tmp_path / "openpath.csv")
    said = str(error.value)
    assert "openpath.csv: 2 rows of tw_id, img_position" in said
    assert "holds neither images nor texts" in said
    assert "pathdata convert quilt-1m quilt_1M_lookup.csv --subset openpath" in said
    with pytest.raises(PathPluginsError, match="no such file"):
        read(tmp_path / "nowhere.csv")
