"""Check pictures and masks of a patch set by reading them: all faults, none of them raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pathplugins.core.ahead import in_order
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.patch_sets.patch_set import PatchSet
from pathplugins.data.records import BadSample, image_failure

_THREADS = 4

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What reading pictures told."""

    sizes: Counter[Size] = field(default_factory=Counter)
    """(w, h) pixels -> pictures."""
    faults: list[BadSample] = field(default_factory=list)


def check_pictures(
    patches: PatchSet, indices: Iterable[int] | None = None, *, tell: Callable[[int], object] = lambda done: None
) -> Checked:
    """Decode pictures and masks; a mask must have the size of its picture, and known values.

    Args:
        patches: the set.
        indices: samples to read; None reads all.
        tell: called with 1 for each sample read.
    """
    checked = Checked()
    wanted = range(len(patches)) if indices is None else indices
    with ThreadPoolExecutor(_THREADS) as pool:
        for size, faults in in_order(pool, partial(_one, patches), wanted):
            checked.sizes.update([size] if size else [])
            checked.faults.extend(faults)
            tell(1)
    return checked


def _one(patches: PatchSet, index: int) -> tuple[Size | None, list[BadSample]]:
    """Return the size (w, h) of a picture that can be read, and the faults of it and its mask."""
    faults: list[BadSample] = []
    picture, mask_path = patches.root / patches.names[index], patches.mask_file(index)
    size: Size | None = None
    try:
        size = patches.read(index).size
    except (PathPluginsError, ValueError, OSError) as error:
        faults.append(_fault(picture, error))
    if mask_path is not None:
        try:
            height, width = patches.read_mask(index).shape
        except (PathPluginsError, ValueError, OSError) as error:
            faults.append(_fault(mask_path, error))
        else:
            if size not in (None, (width, height)):
                detail = f"{width} x {height} pixels, its picture has {size[0]} x {size[1]}; make the mask again"
                faults.append(BadSample(source=str(mask_path), row=None, reason="mask of another size", detail=detail))
    return size, faults


def _fault(path: Path, error: Exception) -> BadSample:
    reason, detail = image_failure(str(path), error)
    return BadSample(source=str(path), row=None, reason=reason, detail=detail)
