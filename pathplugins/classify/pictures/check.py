"""Check before training that all pictures open and are as large as what is cut out of them, and that masks fit.

Headers alone are read; `pathplugins.data.patch_sets.check` decodes, which finds damaged pixels and unknown values, too.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pathplugins.classify.pictures.dataset import PatchDataset, check_mask
from pathplugins.core.ahead import in_order
from pathplugins.core.errors import BadSamplesError
from pathplugins.data.images import BadImage, image_size
from pathplugins.data.records import BadSample, report_text

_READERS = 16  #: threads; reading headers is mostly waiting


def check_headers(*parts: PatchDataset) -> None:
    """Read the headers of all files; pictures inside an H5 file are left to its size.

    Raises:
        BadSamplesError: files that cannot be read, pictures that are too small, masks of another size than their
            picture: all of them in one report.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        found = [
            faults for part in parts for faults in in_order(pool, partial(_faults, part), range(len(part))) if faults
        ]
    if found:
        bad = [fault for faults in found for fault in faults]
        reasons = Counter(fault.reason for fault in bad)
        raise BadSamplesError(report_text(len(found), sum(map(len, parts)), reasons, bad))


def _faults(part: PatchDataset, index: int) -> list[BadSample]:
    """Return what is wrong with a picture and its mask."""
    path, mask_path = part.patch_set.file(index), part.patch_set.mask_file(index)
    if path is None:
        return []
    faults, size = [], None
    try:
        size = image_size(path)
        part.check_size(size, str(path))
    except BadImage as error:
        faults.append(_fault(path, error))
    try:
        if mask_path is not None:
            of_mask = image_size(mask_path)
            if size is not None:
                check_mask(of_mask, size, str(mask_path))
    except BadImage as error:
        faults.append(_fault(mask_path, error))
    return faults


def _fault(path: Path, error: BadImage) -> BadSample:
    detail = str(error).removeprefix(str(path)).lstrip(": ")
    return BadSample(source=str(path), row=None, reason=error.reason, detail=detail)
