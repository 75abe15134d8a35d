"""Patch images: the patches of one slide as JPEG or PNG files, or as a WebDataset tar; complete or absent.

``out/patches/<slide_id>/`` or ``out/patches/<slide_id>.tar``, and beside it ``<slide_id>.json``, written last: what
they are and how they were made.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from pathplugins.core.files import replacing, temporary_beside

from .coords import PatchSet
from .grid import PatchFormat
from .outputs import check_same_settings
from .slides import Slide

JPEG_QUALITY = 90


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
        with replacing(target) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
            _fill_tar(tar, slide, patches)
    else:
        with _replacing_folder(target) as folder:
            for (x, y), picture in _pictures(slide, patches):
                name = f"{patches.name}_{x}_{y}.{'jpg' if kind == 'jpeg' else 'png'}"
                with (folder / name).open("wb") as file:
                    _save(picture, file, kind)
    settings = json.loads(_settings(patches, kind))
    content = {"slide": patches.slide, "patches": len(patches.coords_xy), "settings": settings}
    with replacing(record) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _fill_tar(tar: tarfile.TarFile, slide: Slide, patches: PatchSet) -> None:
    """One sample a patch, ``.jpg`` and ``.json``; keys are in the order of the rows of the coordinate file.

    A key ends at its first dot, so that dots of the slide id become underscores; the JSON has it as it is.
    """
    stem = patches.name.replace(".", "_")
    for row, ((x, y), picture) in enumerate(_pictures(slide, patches)):
        facts: dict[str, Any] = {"slide": patches.name, "row": row, "x": x, "y": y}
        facts |= {"patch_size": patches.patch_size, "patch_size_level0": patches.patch_size_level0, "mpp": patches.mpp}
        content = io.BytesIO()
        _save(picture, content, "jpeg")
        for suffix, data in (("jpg", content.getvalue()), ("json", json.dumps(facts, sort_keys=True).encode())):
            member = tarfile.TarInfo(f"{stem}_{row:07d}_{x}_{y}.{suffix}")  # no times and owners: the same bytes again
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def _pictures(slide: Slide, patches: PatchSet) -> Iterator[tuple[tuple[int, int], Image.Image]]:
    side_px0, side_px = patches.patch_size_level0, patches.patch_size
    for x, y in patches.coords_xy.tolist():
        yield (x, y), Image.fromarray(slide.read(x, y, (side_px0, side_px0), (side_px, side_px)))


def _save(picture: Image.Image, file: BinaryIO, kind: PatchFormat) -> None:
    if kind == "png":
        picture.save(file, format="PNG")
    else:
        picture.save(file, format="JPEG", quality=JPEG_QUALITY)


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


@contextmanager
def _replacing_folder(path: Path) -> Iterator[Path]:
    """A sibling folder to fill, renamed to ``path`` when the block ends well and removed when it does not."""
    temporary, old = temporary_beside(path), temporary_beside(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
