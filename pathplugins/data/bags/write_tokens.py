"""Write the tokens of one slide as a bag without positions: complete or absent, as feature bags are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pathplugins import __version__
from pathplugins.core.errors import BagError
from pathplugins.data.bags.layout import CHECKSUMS
from pathplugins.data.bags.rows import row_checksums
from pathplugins.data.new_h5 import new_h5


def write_tokens(path: Path, tokens: np.ndarray, attributes: Mapping[str, str | int | float]) -> None:
    """Write ``features`` and their checksums, and nothing that says where on the slide a row is from.

    Args:
        path: Where to; missing folders are made, an older file is replaced.
        tokens: ``[N, D]`` float16 or float32, finite.
        attributes: Root attributes: ``slide_id``, ``encoder`` (what made the rows) and whatever else tells them.
    """
    if tokens.ndim != 2 or 0 in tokens.shape or tokens.dtype.kind != "f":
        raise BagError(f"{path}: tokens are {tokens.dtype} {tokens.shape}, expected floats (N, D) with N > 0")
    finite = np.isfinite(tokens).all(axis=1)
    if not finite.all():
        raise BagError(f"{path}: row {int((~finite).argmax())} holds NaN or infinity; check features and weights")
    values = np.ascontiguousarray(tokens.astype(tokens.dtype.newbyteorder("<")))
    with new_h5(path) as (file, _):
        file.create_dataset("features", data=values)
        file[CHECKSUMS] = row_checksums(values)
        file.attrs.update({**attributes, "tool_version": f"pathplugins {__version__}"})
