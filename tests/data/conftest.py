"""Real H5 bags of odd sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

WriteH5 = Callable[..., Path]


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((23, 13)).astype(np.float16)


@pytest.fixture
def write_h5(tmp_path: Path) -> WriteH5:
    """Write datasets as they are, with root attributes, and attributes of the coordinates."""

    def write(name: str = "slide.h5", *, root: Any = None, on_coords: Any = None, **datasets: Any) -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            for key, values in datasets.items():
                file[key] = values
            file.attrs.update(root or {})
            for key in set(file) & {"coords"}:
                file[key].attrs.update(on_coords or {})
        return path

    return write
