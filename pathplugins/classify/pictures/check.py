"""Check before training that all pictures open and are as large as what is cut out of them."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from pathplugins.classify.pictures.dataset import PatchDataset
from pathplugins.core.errors import BadSamplesError
from pathplugins.data.images import BadImage, image_size
from pathplugins.data.records import BadSample, report_text

_READERS = 16  #: threads; reading headers is mostly waiting


def check_pictures(pictures: PatchDataset) -> None:
    """Read the headers of all files; pictures inside an H5 file are left to its size.

    Raises:
        BadSamplesError: files that cannot be read or are too small, all of them in one report.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        faults = pool.map(lambda index: _fault(pictures, index), range(len(pictures)))
        bad = [fault for fault in faults if fault is not None]
    if bad:
        reasons = Counter(sample.reason for sample in bad)
        raise BadSamplesError(report_text(len(bad), len(pictures), reasons, bad))


def _fault(pictures: PatchDataset, index: int) -> BadSample | None:
    path = pictures.patch_set.file(index)
    if path is None:
        return None
    try:
        pictures.check_size(image_size(path), str(path))
    except BadImage as error:
        detail = str(error).removeprefix(str(path)).lstrip(": ")
        return BadSample(source=str(path), row=None, reason=error.reason, detail=detail)
    return None
