"""Write CLAM's feature files: ``h5_files/<slide>.h5``, float32 with int32 (x, y) level-0 pixels, and ``pt_files/``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from pathplugins.core.disks import reserve
from pathplugins.core.files import replacing
from pathplugins.core.optional import need
from pathplugins.data.new_h5 import new_h5

from .h5_rows import write_rows


def paths_of(out: Path, slide_id: str) -> tuple[Path, Path]:
    """Return the paths of the H5 file, which is renamed last, and of the tensor file."""
    return out / "h5_files" / f"{slide_id}.h5", out / "pt_files" / f"{slide_id}.pt"


def write(
    out: Path, slide_id: str, blocks: Iterable[np.ndarray], coords_xy: np.ndarray, *, width: int, mark: dict[str, str]
) -> None:
    """Write both files; ``mark`` becomes root attributes of the H5 file, which CLAM does not read."""
    torch = need("torch")
    h5_path, pt_path = paths_of(out, slide_id)
    shape = (len(coords_xy), width)
    pt_path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=pt_path.parent) as raw, new_h5(h5_path) as (file, disk):
        reserve(raw, 4 * shape[0] * width)
        # backed by a file, so that torch saves without holding all rows in memory
        values = np.memmap(raw, np.float32, "r+", shape=shape)
        write_rows(file, "features", disk.checked(_also_into(values, blocks)), shape=shape, dtype="float32")
        write_rows(file, "coords", [coords_xy], shape=coords_xy.shape, dtype="int32")
        file.attrs.update(mark)
        with replacing(pt_path) as tensor_path:
            torch.save(torch.from_numpy(values), tensor_path)


def _also_into(values: np.ndarray, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    done = 0
    for block in blocks:
        values[done : done + len(block)] = block
        done += len(block)
        yield block
