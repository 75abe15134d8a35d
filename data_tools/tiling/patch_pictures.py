"""Patch pictures: write the patches of one slide as JPEG or PNG files, or as a WebDataset tar; complete or absent.

They are in ``out/patches/<slide_id>/`` or ``out/patches/<slide_id>.tar``; ``<slide_id>.json`` beside them, written
last, records how they were made.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_text_whole

from ..engine.outcome import check_same_settings
from ..pictures.files import add_sample, encode_jpeg, encode_png, replacing_folder, replacing_tar
from ..slides.slide import Slide
from .coord_files import PatchSet
from .spec import PatchFormat

JPEG_QUALITY = 90
PNG_LEVEL = 6


def patch_pictures_done(out: Path, patches: PatchSet, kind: PatchFormat) -> bool:
    """Return whether the pictures of these patches exist.

    Raises:
        PathPluginsError: they exist, made with other settings.
    """
    record, target = _paths(out, patches.name, kind)
    if not record.exists():
        return False
    made = json.loads(record.read_text(encoding="utf-8"))
    if _other_slide(made, patches):
        raise PathPluginsError(
            f"{record} describes pictures of another slide called {patches.name}, {made['slide']}; pass --overwrite to "
            "redo them, or another --out to keep both"
        )
    check_same_settings(record, found=_recorded(record), wanted=_settings(patches, kind))
    return target.exists()


def leftover_note(out: Path, patches: PatchSet) -> str | None:
    """Return a note on pictures that were made with other settings than these patches; None if there are none."""
    record, _ = _paths(out, patches.name, "jpeg")
    if not record.exists():
        return None
    found = _recorded(record)
    kind = json.loads(found)["save_patches"]
    made = json.loads(record.read_text(encoding="utf-8"))
    other = "of another slide" if _other_slide(made, patches) else "made with other settings"
    if found == _settings(patches, kind) and not _other_slide(made, patches):
        return None
    return f"{record} describes pictures {other}; pass --save-patches {kind} --overwrite to redo them"


def write_patch_pictures(out: Path, slide: Slide, patches: PatchSet, kind: PatchFormat) -> None:
    """Write the pictures of all patches; earlier ones of this slide and kind are replaced."""
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
    content = {"slide": patches.slide, "slide_content": patches.slide_content}
    content |= {"patches": len(patches.coords_xy), "settings": settings}
    write_text_whole(record, json.dumps(content, indent=1) + "\n")


def _other_slide(made: dict[str, Any], patches: PatchSet) -> bool:
    """Return whether a record is of pictures of another slide than that of these patches."""
    return None not in (was := made.get("slide_content"), patches.slide_content) and was != patches.slide_content


def _fill_tar(tar: tarfile.TarFile, slide: Slide, patches: PatchSet) -> None:
    """Write one sample per patch, ``.jpg`` and ``.json``, in the order of the rows of the coordinate file.

    WebDataset ends a key at its first dot, so dots of the slide id become underscores; the JSON keeps the id unchanged.
    """
    stem = patches.name.replace(".", "_")
    for row, ((x, y), pixels) in enumerate(_pictures(slide, patches)):
        facts: dict[str, Any] = {"slide": patches.name, "row": row, "x": x, "y": y}
        facts |= {"patch_size": patches.patch_size, "patch_size_level0": patches.patch_size_level0, "mpp": patches.mpp}
        files = {"jpg": encode_jpeg(pixels, JPEG_QUALITY), "json": json.dumps(facts, sort_keys=True).encode()}
        add_sample(tar, f"{stem}_{row:07d}_{x}_{y}", files)


def _pictures(slide: Slide, patches: PatchSet) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    side_px0, side_px = patches.patch_size_level0, patches.patch_size
    for x, y in patches.coords_xy.tolist():
        yield (x, y), slide.read(x, y, (side_px0, side_px0), (side_px, side_px))


def _settings(patches: PatchSet, kind: PatchFormat) -> str:
    """Return the settings that decide the pictures, as JSON."""
    quality = {} if kind == "png" else {"jpeg_quality": JPEG_QUALITY}
    return json.dumps({**json.loads(patches.settings), "save_patches": kind, **quality}, sort_keys=True)


def _recorded(record: Path) -> str:
    """Return the settings that a record states, as JSON."""
    return json.dumps(json.loads(record.read_text(encoding="utf-8"))["settings"], sort_keys=True)


def _paths(out: Path, slide_id: str, kind: PatchFormat) -> tuple[Path, Path]:
    """Return the paths of the record, and of the tar or folder."""
    folder = out / "patches"
    return folder / f"{slide_id}.json", folder / (f"{slide_id}.tar" if kind == "webdataset" else slide_id)
