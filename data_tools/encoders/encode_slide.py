"""Encode the patches of one slide into one bag, reading and encoding at the same time."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from pathplugins.core.content import content_print
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.walk import walk_folders
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.encoders.encoder import PatchEncoder

from ..engine.outcome import Outcome, check_same_settings, recorded_settings
from ..engine.same_slide import check_same_slide
from ..slides.bounds import BAG_ATTRIBUTES as BOUNDS
from ..slides.slide import Slide, SlideError
from ..tiling.coord_files import PatchSet, read_coords

SETTINGS = "features_settings"  #: root attribute of the bag
CONTENT = "slide_content"  #: root attribute of the bag: ``content_print`` of its slide

OnBatch = Callable[[int, int], None]
"""Called with the number of patches of a slide that are encoded, and the number of all."""


class Patches(Protocol):
    """Positions and sizes of the patches of a slide; a ``PatchSet`` has them."""

    @property
    def coords_xy(self) -> np.ndarray:
        """Top-left corners ``[N, 2]``, (x, y) in level-0 pixels."""

    @property
    def patch_size(self) -> int:
        """Side in pixels as an encoder gets them."""

    @property
    def patch_size_level0(self) -> int:
        """Side in level-0 pixels."""


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """Settings of the features; plain values."""

    batch_size: int = 64
    dtype: str = "float16"
    """Type of the features on disk."""
    readers: int = 4
    """Threads that read and resize patches while the encoder works."""
    slides_folder: Path | None = None
    """Where to look for slides that are no longer where ``pathdata patch`` saw them."""

    def __post_init__(self) -> None:
        for option, value in (("--batch-size", self.batch_size), ("--readers", self.readers)):
            if value < 1:
                raise PathPluginsError(f"{option} must be at least 1, got {value}")
        if self.dtype not in ("float16", "float32"):
            raise PathPluginsError(f"--dtype is float16 or float32, got {self.dtype}")


def encode_slide(
    coords_path: Path,
    out: Path,
    encoder: PatchEncoder,
    options: FeatureOptions,
    *,
    overwrite: bool = False,
    on_batch: OnBatch | None = None,
    slide_path: Path | None = None,
) -> Outcome:
    """Write ``out/<slide_id>.h5``, unless it exists with the same settings.

    Args:
        coords_path: the coordinate file of the slide.
        out: folder of the bags.
        encoder: turns patches into features.
        options: batch size and the like.
        overwrite: redo a bag that exists.
        on_batch: called after every batch.
        slide_path: where the slide is; None looks where it was, or below ``options.slides_folder``.
    """
    patches = read_coords(coords_path)
    bag = out / f"{patches.name}.h5"
    settings = _settings(patches, encoder, options)
    if bag.exists() and not overwrite:
        _check_slide_of(bag, patches, coords_path)
        check_same_settings(bag, found=recorded_settings(bag, SETTINGS), wanted=settings)
        return Outcome(slide_id=patches.name, status="skipped", patches=len(patches.coords_xy))
    slide_path = slide_path or _locate(patches, coords_path, options.slides_folder)
    check_same_slide(coords_path, slide_path, content=patches.slide_content, was=patches.slide)
    with Slide(slide_path) as slide:
        if slide.size_px0 != (patches.level0_width, patches.level0_height):
            raise SlideError(
                f"{slide.path}: is {slide.size_px0} pixels but {coords_path} was made from "
                f"{(patches.level0_width, patches.level0_height)}; run pathdata patch --overwrite on this slide"
            )
        attributes = _attributes(patches, encoder, settings)
        coords_yx = patches.coords_xy[:, ::-1].copy()
        # closed before the slide is: a reader thread must not read from a closed handle
        with closing(encoded_batches(slide, patches, encoder, options, on_batch)) as batches:
            write_bag(bag, batches, coords_yx, attributes, dtype=options.dtype)
    return Outcome(slide_id=patches.name, status="done", patches=len(patches.coords_xy))


def encoded_batches(
    slide: Slide,
    patches: Patches,
    encoder: PatchEncoder,
    options: FeatureOptions,
    on_batch: OnBatch | None = None,
) -> Generator[np.ndarray, None, None]:
    """Yield features ``[b, D]`` in the order of the coordinates; the next batches are read meanwhile."""
    side_px0, side_px = patches.patch_size_level0, patches.patch_size

    def read(coords_xy: np.ndarray) -> np.ndarray:
        boxes = (slide.read(x, y, (side_px0, side_px0), (side_px, side_px)) for x, y in coords_xy)
        return np.stack([encoder.prepare(patch) for patch in boxes])  # [b, crop, crop, 3]

    encoded = 0

    def encode(batch: np.ndarray) -> np.ndarray:
        nonlocal encoded
        features = encoder(batch)  # [b, D]
        encoded += len(features)
        if on_batch:
            on_batch(encoded, len(patches.coords_xy))
        return features

    starts = range(0, len(patches.coords_xy), options.batch_size)
    pending: deque[Future[np.ndarray]] = deque()
    with ThreadPoolExecutor(options.readers) as pool:
        try:
            for start in starts:
                pending.append(pool.submit(read, patches.coords_xy[start : start + options.batch_size]))
                if len(pending) > options.readers:  # bounded: one batch a reader, and the one being encoded
                    yield encode(pending.popleft().result())
            while pending:
                yield encode(pending.popleft().result())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _attributes(patches: PatchSet, encoder: PatchEncoder, settings: str) -> BagAttributes:
    """Return the attributes of the bag."""
    return BagAttributes(
        slide_id=patches.name,
        encoder=encoder.label,
        patch_size=patches.patch_size,
        patch_size_level0=patches.patch_size_level0,
        mpp=patches.mpp,
        level0_mpp=patches.level0_mpp,
        level0_width=patches.level0_width,
        level0_height=patches.level0_height,
        extra={
            **({} if patches.overlap is None else {"overlap": patches.overlap}),
            "mpp_source": patches.mpp_source,
            "frame": patches.frame,
            **({} if patches.bounds is None else dict(zip(BOUNDS, patches.bounds, strict=True))),
            "tiling_fingerprint": patches.fingerprint,
            SETTINGS: settings,
            **({CONTENT: patches.slide_content} if patches.slide_content else {}),
            **encoder.provenance,
        },
    )


def _settings(patches: PatchSet, encoder: PatchEncoder, options: FeatureOptions) -> str:
    """Return all that decides the features as JSON, positions included; batch size and threads do not."""
    positions = hashlib.sha256(patches.coords_xy.astype("<i8").tobytes()).hexdigest()[:12]
    settings = {**encoder.describe(), "dtype": options.dtype, "tiling": patches.fingerprint, "positions": positions}
    return json.dumps(settings, sort_keys=True)


def _check_slide_of(bag: Path, patches: PatchSet, coords_path: Path) -> None:
    """Refuse a bag that was made from another slide than the coordinate file; earlier bags do not record theirs."""
    was, now = recorded_settings(bag, CONTENT, absent=""), patches.slide_content
    if was and now and was != now:
        raise PathPluginsError(
            f"{bag} is of another slide called {patches.name!r} (content {was}) than {coords_path} (content {now}, "
            f"{patches.slide}); choose another --out, or pass --overwrite to replace the bag"
        )


def _below(folder: Path) -> list[Path]:
    """Return the files and folders below a folder, links included: a slide may be either."""
    return sorted(place / name for place, below, names in walk_folders(folder) for name in (*below, *names))


def _locate(patches: PatchSet, coords_path: Path, folder: Path | None) -> Path:
    """Find the slide file: where it was, or by its name anywhere below ``--slides``."""
    recorded = Path(patches.slide)
    if folder is not None:
        found = [p for p in _below(folder) if p.name == recorded.name]
        if len(found) > 1 and patches.slide_content:
            found = [p for p in found if content_print(p) == patches.slide_content][:1] or found  # copies are one slide
        if len(found) == 1:
            return found[0]
        raise SlideError(
            f"{coords_path}: {len(found)} files called {recorded.name} below --slides {folder}, wanted one"
        )
    if not recorded.exists():
        raise SlideError(
            f"{coords_path}: its slide {recorded} does not exist; pass --slides FOLDER, the folder it moved to"
        )
    return recorded
