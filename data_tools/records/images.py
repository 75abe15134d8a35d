"""The images of a conversion, looked at in threads while their records go by."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import inspect_bag
from pathplugins.data.images import check_image
from pathplugins.data.records import BadSample, Record, image_failure

FEATURES = (".csv", ".pt")  #: feature files of others, of which only their being there is looked at

_AHEAD = 512  # records whose images are being looked at
_REMEMBERED = 10_000  # failures kept; an image that failed long ago is looked at again
_THREADS = 8

Failure = tuple[str, str]


def look_at_images(
    items: Iterable[Record | BadSample], *, max_pixels: int, feature_files: bool
) -> Iterator[tuple[Record | None, list[BadSample]]]:
    """Each record with what is wrong with its images, in order, and each bad sample; a distinct image is read once.

    Images are judged by metadata alone; ``feature_files`` says whether they may be such too. Those that are good are
    remembered by a hash of 64 bits.
    """
    look = functools.partial(_look, max_pixels=max_pixels, features=FEATURES if feature_files else ())
    good: set[int] = set()
    running: dict[str, Future[Failure | None]] = {}  # and the last ones that failed
    waiting: deque[tuple[Record | BadSample, dict[str, Future[Failure | None]]]] = deque()

    def first() -> tuple[Record | None, list[BadSample]]:
        item, looks = waiting.popleft()
        if isinstance(item, BadSample):
            return None, [item]
        faults = []
        for image, future in looks.items():
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
            looks: dict[str, Future[Failure | None]] = {}
            for image in item.images if isinstance(item, Record) else ():
                if hash(image) not in good:
                    if image not in running:
                        running[image] = pool.submit(look, image)
                    looks[image] = running[image]
            waiting.append((item, looks))
            if len(waiting) > _AHEAD:
                yield first()
        while waiting:
            yield first()
    finally:
        pool.shutdown(cancel_futures=True)


def _look(image: str, *, max_pixels: int, features: tuple[str, ...]) -> Failure | None:
    try:
        if image.endswith(".h5"):
            inspect_bag(image)
        elif image.endswith(features):
            if not Path(image).stat().st_size:
                return "unusable file", f"{image} is empty; expected features"
        else:
            check_image(image, max_pixels=max_pixels, decode=False)
    except (PathPluginsError, ValueError, OSError) as error:
        return image_failure(image, error)
    return None
