"""Find out which images of a dataset can be used, and how many vision tokens each takes."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from filelock import FileLock

from pathplugins.core.files import read_json, write_text_whole
from pathplugins.data.bags.encoders import REASON, unfit_encoders, usual_encoder
from pathplugins.data.records import Record, check_images
from pathplugins.models.compose.cache import cache_dir
from pathplugins.models.custom_llava.image_checks import bag_encoders, image_check
from pathplugins.xtuner.parts import Model, load_processor, model_directory, model_settings

_SETTLED: dict[str, str] = {}
"""Model directory -> the patch encoder that bags of the run's data sets so far name; later ones must name it too."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ImageTokens:
    """What is known of some images before they are read for training."""

    counts: list[int]
    """Vision tokens of each image, in the order asked for; 0 for one that cannot be used."""
    failures: dict[int, tuple[str, str]]
    """Position of an image that cannot be used -> short reason, full sentence."""


def image_tokens(
    images: list[str], model: Model, *, check: bool = True, workers: int = 8, asked_at: float | None = None
) -> ImageTokens:
    """Look at distinct images, once however many ranks ask at the same time.

    One process looks while the others wait for its lock, and take what it found if it was found after they asked. There
    is no collective operation that could hang, and no old finding is trusted: files that passed before are only looked
    up (size and date), the others are read.

    Args:
        images: paths, all different.
        model: what a config names; its tower and processor say what an image is and must be like.
        check: read every image that has not passed before; False finds out no more than how many tokens it takes.
        workers: threads.
        asked_at: seconds since 1970; now when None.
    """
    asked_at = time.time() if asked_at is None else asked_at
    processor = load_processor(model).image_processor
    inspect, rules = image_check(processor, model_settings(model)["vision_config"])
    settings = json.dumps([processor.to_dict(), rules, check], sort_keys=True, default=str)
    key = hashlib.sha256("\0".join([settings, *images]).encode(errors="surrogateescape")).hexdigest()[:16]
    place = cache_dir() / "xtuner_images" / f"{key}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        found = read_json(place) if place.is_file() else {"looked_at": 0.0}
        if not asked_at <= found["looked_at"] <= time.time():  # one of the future is of before the clock was set back
            judged = not getattr(processor, "allow_other_encoder", True)  # image towers have no such setting
            encoders = bag_encoders(images, workers=workers) if judged else {}
            _unfit(encoders, model)  # says of all bags that they name none, before one is counted
            found = _look(images, processor.num_image_tokens, inspect if check else None, rules, workers)
            found["encoders"] = encoders
            write_text_whole(place, json.dumps(found))
    unfit = _unfit(found["encoders"], model)
    failures = {code: (REASON, unfit[path]) for code, path in enumerate(images) if path in unfit}
    failures |= {int(image): (reason, detail) for image, (reason, detail) in found["failures"].items()}
    return ImageTokens(counts=found["counts"], failures=failures)


def _unfit(encoders: dict[str, str | None], model: Model) -> dict[str, str]:
    """Find the bags (path -> encoder) of another patch encoder than the tower expects or earlier datasets name."""
    directory = str(model_directory(model))
    expected = getattr(load_processor(model).image_processor, "expects_encoder", None)
    unfit = unfit_encoders(encoders, expected, settled=_SETTLED.get(directory))
    if (usual := usual_encoder(encoders)) is not None:
        _SETTLED.setdefault(directory, usual)
    return unfit


def _look(
    images: list[str],
    num_tokens: Callable[[str], int],
    inspect: Callable[[str], object] | None,
    rules: str,
    workers: int,
) -> dict[str, Any]:
    records = [
        Record(id=image, conversations=(), images=(image,), meta={}, source="", row=row)
        for row, image in enumerate(images)
    ]
    bad = []
    if inspect is not None:
        passed = cache_dir() / "xtuner_images" / "passed.json"
        bad = check_images(records, inspect, workers=workers, progress=True, cache=passed, cache_key=rules)
    failed = {sample.row for sample in bad}
    counts, uncounted = [0] * len(images), []
    for record in records:
        if record.row not in failed:
            try:
                counts[record.row] = num_tokens(record.images[0])
            except (ValueError, OSError):
                uncounted.append(record)
    bad += check_images(uncounted, num_tokens, workers=workers)  # which words the reasons
    failures = {sample.row: (sample.reason, sample.detail) for sample in bad}
    return {"looked_at": time.time(), "counts": counts, "failures": failures}
