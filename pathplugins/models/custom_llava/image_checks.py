"""Check every image against the needs of a model before training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pathplugins.core.errors import BagError, PathPluginsError
from pathplugins.data.bags import BagInfo, check_bag, inspect_bag
from pathplugins.data.bags.encoders import REASON, unfit_encoders
from pathplugins.data.bags.magnifications import magnifications_text
from pathplugins.data.images import check_image
from pathplugins.data.records import BadSample, Record
from pathplugins.models.custom_llava.processing_custom_llava import CustomLlavaImageProcessor
from pathplugins.published.slide_encoders import GIGAPATH

logger = logging.getLogger(__name__)


def image_check(
    image_processor: Any, vision_config: Mapping[str, Any], *, features: bool = True
) -> tuple[Callable[[str], object], str]:
    """Return what raises for an image the model cannot use, and a text that names the check and its settings.

    Args:
        image_processor: of the model, which says whether images or feature bags are read.
        vision_config: of the model.
        features: read all features of a bag, not its shape alone.
    """
    if not isinstance(image_processor, CustomLlavaImageProcessor):
        return check_image, "image"
    contract = image_processor.contract
    options = {"coords_mpp": image_processor.coords_mpp, "features": features}
    needed = image_processor.needs_positions
    # Bags that passed are remembered under this text: another wording would have all of them read again.
    rules = {"width": contract.feature_dim, "grid_cells": contract.grid, "tile_px": contract.tile_px, **options}
    if contract.frame_mpp != GIGAPATH.frame_mpp:
        rules |= {"frame_mpp": contract.frame_mpp, "positions": needed}
    return lambda path: check_bag(path, contract, **options, positions=needed), str(sorted(rules.items()))


def crowded(records: Iterable[Record], image_processor: Any) -> list[BadSample]:
    """Return the rows with more bags than the model takes of one sample."""
    found = []
    for record in records:
        try:
            if len(record.images) > 1 and hasattr(image_processor, "rows_of_sample"):
                image_processor.rows_of_sample([1] * len(record.images))
        except PathPluginsError as error:
            detail = f"{record.id}: {error}"
            found.append(BadSample(source=record.source, row=record.row, reason="too many slides", detail=detail))
    return found


def other_encoders(
    records: Sequence[Record], image_processor: Any, *, known_bad: Iterable[BadSample] = (), workers: int = 8
) -> list[BadSample]:
    """Return the rows of a run whose bags are of another patch encoder than the tower, or than the run's other bags.

    Every bag is opened for its metadata, also one that passed `image_check` before: what the other bags of the run
    name changes from run to run.

    Args:
        records: of all data sets of the run.
        image_processor: of the model; one that reads images, or allows other encoders, finds nothing.
        known_bad: rows that cannot be used anyway, which are not looked at.
        workers: threads.
    """
    if getattr(image_processor, "allow_other_encoder", True):
        return []
    bad = {(sample.source, sample.row) for sample in known_bad}
    fit = [record for record in records if (record.source, record.row) not in bad]
    paths = [*dict.fromkeys(image for record in fit for image in record.images)]
    unfit = unfit_encoders(bag_encoders(paths, workers=workers), image_processor.expects_encoder)
    return [
        BadSample(source=record.source, row=record.row, reason=REASON, detail=unfit[image])
        for record in fit
        for image in dict.fromkeys(record.images)
        if image in unfit
    ]


def bag_encoders(paths: Sequence[str], *, workers: int = 8) -> dict[str, str | None]:
    """Return path -> name of the encoder of every bag that can be opened, None where it names none; in order.

    Logs bags of another magnification than the rest, which a run may want or not.
    """
    with ThreadPoolExecutor(max_workers=workers) as pool:
        infos = dict(zip(paths, pool.map(_info_of, paths), strict=True))
    known = {path: info for path, info in infos.items() if info is not None}
    if said := magnifications_text({path: info.mpp for path, info in known.items()}):
        logger.warning("%s", said)
    return {path: info.encoder for path, info in known.items()}


def _info_of(path: str) -> BagInfo | None:
    """Return what a bag says about itself, or nothing for one that cannot be read, which `image_check` reports."""
    try:
        return inspect_bag(path, positions=False)
    except (BagError, OSError):
        return None
