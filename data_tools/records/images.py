"""Check the images of a conversion in threads while its records are read."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import inspect_bag, must_come_back
from pathplugins.data.images import check_image
from pathplugins.data.records import BadSample, Record, image_failure

FEATURES = (".csv", ".pt")  #: feature files of other tools, which are only checked to exist and not to be empty

_AHEAD = 512  # records read ahead while their images are checked
_REMEMBERED = 10_000  # failures kept; an image that failed longer ago is checked again
_THREADS = 8

Failure = tuple[str, str]


def checked_images(
    items: Iterable[Record | BadSample], *, max_pixels: int, feature_files: bool
) -> Iterator[tuple[Record | None, list[BadSample]]]:
    """Yield each record with the faults of its images, in order; bad samples come with None for the record.

    Each distinct image is checked once, by its metadata; good ones are remembered by a hash of 64 bits.

    Args:
        items: Records and bad samples.
        max_pixels: Largest width times height of an image.
        feature_files: Whether images may be feature files too (``FEATURES``).
    """
    check = functools.partial(_check, max_pixels=max_pixels, features=FEATURES if feature_files else ())
    good: set[int] = set()
    running: dict[str, Future[Failure | None]] = {}  # checks in progress, and the most recent failures
    waiting: deque[tuple[Record | BadSample, dict[str, Future[Failure | None]]]] = deque()

    def first() -> tuple[Record | None, list[BadSample]]:
        item, checks = waiting.popleft()
        if isinstance(item, BadSample):
            return None, [item]
        faults = []
        for image, future in checks.items():
            if failure := future.result():
                faults.append(BadSample(source=item.source, row=item.row, reason=failure[0], detail=failure[1]))
            else:
                good.add(hash(image))
                running.pop(image, None)
        while len(running) > _REMEMBERED:
            running.pop(next(iter(running)))
        return item, faults

    pool = ThreadPoolExecutor(_THREADS)
    try:
        for item in items:
            checks: dict[str, Future[Failure | None]] = {}
            for image in item.images if isinstance(item, Record) else ():
                if hash(image) not in good:
                    if image not in running:
                        running[image] = pool.submit(check, image)
                    checks[image] = running[image]
            waiting.append((item, checks))
            if len(waiting) > _AHEAD:
                yield first()
        while waiting:
            yield first()
    finally:
        pool.shutdown(cancel_futures=True)


def _check(image: str, *, max_pixels: int, features: tuple[str, ...]) -> Failure | None:
    try:
        if image.endswith(".h5"):
            must_come_back(image)
            inspect_bag(image, positions=False)
        elif image.endswith(features):
            if not Path(image).stat().st_size:
                return "unusable file", f"{image} is empty; expected features"
        else:
            check_image(image, max_pixels=max_pixels, decode=False)
    except (PathPluginsError, ValueError, OSError) as error:
        return image_failure(image, error)
    return None
