"""An empty folder is a fault that says what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import BadSamplesError
from pathplugins.data.patch_sets.ptcga200 import read_ptcga200


def test_no_patches(tmp_path: Path) -> None:
    with pytest.raises(BadSamplesError, match=rf"{tmp_path}: no patches: expected <organ>/<patch>.jpg"):
        read_ptcga200(tmp_path).whole()
