"""Bags without positions: what is in them, and what is refused."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import BagError
from pathplugins.data.bags.rows import row_checksums
from pathplugins.data.bags.write_tokens import write_tokens


def test_rows_checksums_and_attributes(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    write_tokens(tmp_path / "new" / "a.h5", tokens, {"slide_id": "a", "encoder": "slide tokens", "tokens_pooled": 9})
    with h5py.File(tmp_path / "new" / "a.h5") as file:
        assert set(file) == {"features", "features_checksums"}
        np.testing.assert_array_equal(file["features"], tokens)
        np.testing.assert_array_equal(file["features_checksums"], row_checksums(tokens))
        assert file.attrs["encoder"] == "slide tokens"
        assert file.attrs["tokens_pooled"] == 9
        assert file.attrs["tool_version"].startswith("pathplugins ")


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (np.zeros((0, 3), np.float32), "N > 0"),
        (np.zeros(3, np.float32), "floats"),
        (np.zeros((2, 3), int), "floats"),
        (np.array([[1, 2], [3, np.nan]], np.float32), "row 1 holds NaN"),
    ],
)
def test_what_is_no_bag_is_refused(tmp_path: Path, tokens: np.ndarray, said: str) -> None:
    with pytest.raises(BagError, match=said):
        write_tokens(tmp_path / "a.h5", tokens, {})
    assert not [*tmp_path.iterdir()]
