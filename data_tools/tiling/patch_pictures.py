"""Patch images: the patches of one slide as JPEG or PNG files, or as a WebDataset tar; complete or absent.

``out/patches/<slide_id>/`` or ``out/patches/<slide_id>.tar``, and beside it ``<slide_id>.json``, written last: what
they are and how they were made.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.files import replacing

from ..engine.outcome import check_same_settings
from ..pictures.files import add_sample, encode_jpeg, encode_png, replacing_folder, replacing_tar
from ..slides.slide import Slide
from .coord_files import PatchSet
from .spec import PatchFormat

JPEG_QUALITY = 90
PNG_LEVEL = 6


def patch_images_done(out: Path, patches: PatchSet, kind: PatchFormat) -> bool:
    """Whether they are there.

    Raises:
        PathPluginsError: they are, but of other settings.
    """
    record, target = _paths(out, patches.name, kind)
    if not record.exists():
        return False
    check_same_settings(record, found=_recorded(record), wanted=_settings(patches, kind))
    return target.exists()


def leftover_note(out: Path, patches: PatchSet) -> str | None:
    """What to say of pictures that a run without ``save_patches`` left beside patches of other settings."""
    record, _ = _paths(out, patches.name, "jpeg")
    if not record.exists():
        return None
    found = _recorded(record)
    kind = json.loads(found)["save_patches"]
    if found == _settings(patches, kind):
        return None
    return f"{record} is of pictures made with other settings; pass --save-patches {kind} --overwrite to redo them"


def write_patch_images(out: Path, slide: Slide, patches: PatchSet, kind: PatchFormat) -> None:
    """Write all of them; what is there of this slide and kind is replaced."""
    record, target = _paths(out, patches.name, kind)
    record.unlink(missing_ok=True)
    if kind == "webdataset":
        with replacing_tar(target) as tar:
            _fill_tar(tar, slide, patches)
    else:
        with replacing_folder(target) as folder:
            for (x, y), pixels in _pictures(slide, patches):
                name = f"{patches.name}_{x}_{y}.{'jpg' if kind == 'jpeg' else 'png'}"
                content = encode_jpeg(pixels, JPEG_QUALITY) if kind == "jpeg" else encode_png(pixels, PNG_LEVEL)
                (folder / name).write_bytes(content)
    settings = json.loads(_settings(patches, kind))
    content = {"slide": patches.slide, "patches": len(patches.coords_xy), "settings": settings}
    with replacing(record) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _fill_tar(tar: tarfile.TarFile, slide: Slide, patches: PatchSet) -> None:
    """One sample a patch, ``.jpg`` and ``.json``; keys are in the order of the rows of the coordinate file.

    A key ends at its first dot, so that dots of the slide id become underscores; the JSON has it as it is.
    """
    stem = patches.name.replace(".", "_")
    for row, ((x, y), pixels) in enumerate(_pictures(slide, patches)):
        facts: dict[str, Any] = {"slide": patches.name, "row": row, "x": x, "y": y}
        facts |= {"patch_size": patches.patch_size, "patch_size_level0": patches.patch_size_level0, "mpp": patches.mpp}
        parts = {"jpg": encode_jpeg(pixels, JPEG_QUALITY), "json": json.dumps(facts, sort_keys=True).encode()}
        add_sample(tar, f"{stem}_{row:07d}_{x}_{y}", parts)


def _pictures(slide: Slide, patches: PatchSet) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    side_px0, side_px = patches.patch_size_level0, patches.patch_size
    for x, y in patches.coords_xy.tolist():
        yield (x, y), slide.read(x, y, (side_px0, side_px0), (side_px, side_px))


def _settings(patches: PatchSet, kind: PatchFormat) -> str:
    """What decides their content, as JSON."""
    quality = {} if kind == "png" else {"jpeg_quality": JPEG_QUALITY}
    return json.dumps({**json.loads(patches.settings), "save_patches": kind, **quality}, sort_keys=True)


def _recorded(record: Path) -> str:
    """The settings of what is there, as JSON."""
    return json.dumps(json.loads(record.read_text(encoding="utf-8"))["settings"], sort_keys=True)


def _paths(out: Path, slide_id: str, kind: PatchFormat) -> tuple[Path, Path]:
    """The record, and the tar or folder."""
    folder = out / "patches"
    return folder / f"{slide_id}.json", folder / (f"{slide_id}.tar" if kind == "webdataset" else slide_id)
