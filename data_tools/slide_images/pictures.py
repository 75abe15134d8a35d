"""Pictures of the chosen patches of one slide: ``images/<slide>/<x>_<y>.jpg`` with ``chosen.json``, whole or absent."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.content import content_print
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.data.bags import stable_seed

from ..engine.jobs import Recipe, SlideJob, Steps, Tell
from ..engine.outcome import Outcome, check_same_settings
from ..engine.same_slide import check_same_slide
from ..pictures.files import encode_jpeg, replacing_folder
from ..slides.bounds import Bounds, bounds
from ..slides.slide import Slide
from ..tiling.coord_files import PatchSet
from ..tiling.patch_pictures import patch_pictures_done
from .choice import Select, different_patches, even_patches
from .sources import SlidePatches, Source, read_features, read_patches

CHOSEN = "chosen.json"


@dataclass(frozen=True, kw_only=True)
class PicturesJob(SlideJob):
    """One slide whose patches become pictures; ``slide`` is the file with its patches."""

    source: Source
    found: Path | None = None
    """The slide where it was looked for; None takes the place that the coordinate file records."""


@dataclass(frozen=True, kw_only=True)
class PicturesRecipe(Recipe):
    """Choice of patches of every slide, as files."""

    patches: Path
    """The work folder of ``pathdata patch``, which may hold the patches as pictures."""
    per_slide: int = 16
    select: Select = "spatial"
    seed: int = 0
    quality: int = 90
    """JPEG quality, 1 to 100."""

    def __post_init__(self) -> None:
        if self.per_slide < 1:
            raise PathPluginsError(f"--per-slide must be at least 1, got {self.per_slide}; 16 is usual")
        if not 1 <= self.quality <= 100:
            raise PathPluginsError(f"--quality must be 1 to 100, got {self.quality}; 90 is usual")

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """OpenSlide, imagecodecs for the pictures, torch for the choice."""
        return {"wsi": ("openslide", "imagecodecs", "torch")}

    def result_path(self, slide_id: str) -> Path:
        """Return the folder of a slide, which appears when all its pictures are written."""
        return self.work / "images" / slide_id

    def open(self, device: str | None) -> Steps:
        """Return the function that does one slide."""
        return self._steps  # type: ignore[return-value]

    def _steps(self, job: PicturesJob, tell: Tell) -> Outcome:
        patches, folder = read_patches(job.source), self.result_path(job.slide_id)
        if not len(patches.coords_xy):
            raise PathPluginsError(f"{job.source.main}: holds no patches; pathdata patch found no tissue on this slide")
        settings = self._settings(job.source, patches)
        if folder.exists() and not self.overwrite:
            done = read_json(folder / CHOSEN)
            if (slide := _slide_of(job, patches)) is not None and slide.exists():
                check_same_slide(folder / CHOSEN, slide, content=done["slide_content"], was=done["slide"])
            check_same_settings(folder / CHOSEN, found=json.dumps(done["settings"], sort_keys=True), wanted=settings)
            return Outcome(slide_id=job.slide_id, status="skipped", patches=len(done["patches"]))
        rows = self._choose(job.source, patches)
        tell(job.slide_id, 0, len(rows))
        with replacing_folder(folder) as temporary:
            names = [f"{x}_{y}.jpg" for x, y in patches.coords_xy[rows].tolist()]
            ready = _ready_pictures(self.patches, patches)
            if ready is not None:
                area = _area(patches.recorded)  # type: ignore[arg-type] # has a coordinate file
                names = [f"{Path(name).stem}{ready.suffix}" for name in names]
                for name in names:
                    shutil.copyfile(ready.folder / f"{ready.stem}_{name}", temporary / name)
                slide, content = patches.recorded.slide, patches.recorded.slide_content  # type: ignore[union-attr]
            else:
                path = _existing(_slide_of(job, patches), job)
                area = self._cut(path, job.source, patches, rows, temporary)
                slide, content = str(path), content_print(path)
            chosen = {"slide": slide, "slide_content": content, "settings": json.loads(settings)}
            chosen |= {"patches": names, "positions": _positions(patches, rows, area)}
            write_json(temporary / CHOSEN, chosen)
        note = f"of {len(patches.coords_xy)} patches"
        return Outcome(slide_id=job.slide_id, status="done", patches=len(rows), notes=(note,))

    def _choose(self, source: Source, patches: SlidePatches) -> np.ndarray:
        """Return the rows of the chosen patches, ascending."""
        if self.select == "spatial":
            return even_patches(patches.coords_xy, self.per_slide)
        features = read_features(source, patches.coords_xy)
        return different_patches(features, self.per_slide, stable_seed(self.seed, source.slide_id))

    def _cut(self, path: Path, source: Source, patches: SlidePatches, rows: np.ndarray, folder: Path) -> Bounds:
        """Write the pictures of some patches; returns the part of the slide that was scanned."""
        if (recorded := patches.recorded) is not None:
            check_same_slide(source.main, path, content=recorded.slide_content, was=recorded.slide)
        side_px0, side_px = patches.patch_size_level0, patches.patch_size
        with Slide(path) as slide:
            width, height = slide.size_px0
            outside = (patches.coords_xy[rows] >= (width, height)).any(axis=1)
            if outside.any():
                x, y = patches.coords_xy[rows][outside.argmax()].tolist()
                raise PathPluginsError(
                    f"{path} is {width} x {height} pixels, and a patch starts at ({x}, {y}): they are of another "
                    "slide; pass the right --slides, or cut the patches again"
                )
            for x, y in patches.coords_xy[rows].tolist():
                pixels = slide.read(x, y, (side_px0, side_px0), (side_px, side_px))  # [side, side, 3]
                (folder / f"{x}_{y}.jpg").write_bytes(encode_jpeg(pixels, self.quality))
            return bounds(slide.properties) or Bounds(0, 0, width, height)

    def _settings(self, source: Source, patches: SlidePatches) -> str:
        """Return all that decides the pictures as JSON; positions and features by a digest."""
        positions = np.ascontiguousarray(patches.coords_xy.astype("<i8"))
        settings: dict[str, Any] = {
            "per_slide": self.per_slide,
            "select": self.select,
            "quality": self.quality,
            "patch_size": patches.patch_size,
            "patch_size_level0": patches.patch_size_level0,
            "positions": hashlib.sha256(positions.tobytes()).hexdigest()[:12],
        }
        if self.select == "kmeans":
            settings |= {"seed": self.seed, "features": content_print(source.bag)}  # type: ignore[arg-type]
        return json.dumps(settings, sort_keys=True)


def _slide_of(job: PicturesJob, patches: SlidePatches) -> Path | None:
    """Return where the slide is, or was; None where nobody says."""
    if job.found is not None or patches.recorded is None:
        return job.found
    return Path(patches.recorded.slide)


def _existing(slide: Path | None, job: PicturesJob) -> Path:
    if slide is None or not slide.exists():
        where = "no slide of this name was found" if slide is None else f"its slide {slide} does not exist"
        raise PathPluginsError(f"{job.source.main}: {where}; pass --slides FOLDER, the folder that it is in")
    return slide


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """Pictures that ``pathdata patch --save-patches`` wrote."""

    folder: Path
    stem: str
    suffix: str


def _ready_pictures(work: Path, patches: SlidePatches) -> _Ready | None:
    """Return the pictures of all patches of a slide; None where there are none, or in a tar."""
    recorded = patches.recorded
    record = None if recorded is None else work / "patches" / f"{recorded.name}.json"
    if recorded is None or record is None or not record.exists():
        return None
    kind = read_json(record)["settings"]["save_patches"]
    if kind not in ("jpeg", "png") or not patch_pictures_done(work, recorded, kind):
        return None
    suffix = ".jpg" if kind == "jpeg" else ".png"
    return _Ready(folder=work / "patches" / recorded.name, stem=recorded.name, suffix=suffix)


def _area(recorded: PatchSet) -> Bounds:
    return Bounds(*recorded.bounds) if recorded.bounds else Bounds(0, 0, recorded.level0_width, recorded.level0_height)


def _positions(patches: SlidePatches, rows: np.ndarray, area: Bounds) -> dict[str, Any]:
    """Return the centres of the chosen patches in the part of the slide that was scanned, mm and shares of it."""
    centres_px0 = patches.coords_xy[rows] + patches.patch_size_level0 / 2 - np.array(area.origin_xy)  # [K, 2]
    return {
        "area_px0": list(area),
        "mm": np.round(centres_px0 * patches.level0_mpp / 1000, 2).tolist(),
        "normalised": np.round(np.clip(centres_px0 / (area.w, area.h), 0, 1), 3).tolist(),
    }
