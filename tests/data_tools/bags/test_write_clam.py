"""CLAM's two files of a slide."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags.write_clam import paths_of, write

F = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float16)
XY = np.stack([np.arange(7) * 512, np.arange(7) % 2 * 512 + 9000], axis=1)


def test_both_files_hold_the_same(tmp_path: Path) -> None:
    write(tmp_path, "a.1", [F[:5], F[5:]], XY, width=3, mark={"conversion": "{}"})
    h5_path, pt_path = paths_of(tmp_path, "a.1")
    assert [path.relative_to(tmp_path).as_posix() for path in (h5_path, pt_path)] == [
        "h5_files/a.1.h5",
        "pt_files/a.1.pt",
    ]
    with h5py.File(h5_path) as file:
        assert (file["features"].dtype, file["coords"].dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(file["features"][:], F)
        np.testing.assert_array_equal(file["coords"][:], XY)
        assert file.attrs["conversion"] == "{}"
    np.testing.assert_array_equal(torch.load(pt_path, weights_only=True).numpy(), F)


def test_a_failure_leaves_neither(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="5 rows of features, expected 7"):
        write(tmp_path, "a", [F[:5]], XY, width=3, mark={})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
