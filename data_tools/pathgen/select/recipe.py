"""Choose the representative patches of one slide and write its files, for ``pathdata pathgen select``.

In the work folder: ``images/<slide>/<x>_<y>.jpg``, ``slides/<slide>/`` with features, metrics and pictures, and
``manifest.jsonl``, one row per patch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json, replacing

from ...clip.model import Clip, ClipChoice, load_clip
from ...encoders.encode_slide import FeatureOptions
from ...engine.jobs import Recipe, SlideJob, Steps, Tell
from ...engine.outcome import Outcome, check_same_settings
from ...engine.same_slide import check_same_slide
from ...pictures.files import encode_jpeg, replacing_folder
from ...slides.slide import Slide
from ...tissue.own_mask import OwnMask
from .grid import GridSpec, find_grid
from .ranking import ChoiceSpec
from .result_files import manifest_rows, write_features, write_metrics, write_rankings
from .slide import Analysis, analyse

MANIFEST = "manifest.jsonl"
ROWS = "selection.jsonl"  #: manifest rows of one slide, in its folder
METRICS = "metrics.json"


@dataclass(frozen=True, kw_only=True)
class SelectJob(SlideJob):
    """One slide to choose patches from."""

    project: str
    report: tuple[str, ...] = ()
    """Sentences of its report; without any, there is no ranking by report."""
    mask: OwnMask | None = None


@dataclass(frozen=True, kw_only=True)
class SelectRecipe(Recipe):
    """Choice of representative patches on every slide."""

    clip: ClipChoice
    prompts: Mapping[str, tuple[str, ...]]
    """Sentences by project."""
    grid: GridSpec = field(default_factory=GridSpec)
    choice: ChoiceSpec = field(default_factory=ChoiceSpec)
    readers: int = 4
    """Threads that read patches while the model works."""
    quality: int = 90
    """JPEG quality, 1 to 100."""

    def __post_init__(self) -> None:
        FeatureOptions(batch_size=self.clip.batch_size, readers=self.readers)  # checks both
        if not 1 <= self.quality <= 100:
            raise PathPluginsError(f"--quality must be 1 to 100, got {self.quality}; 90 is usual")

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """OpenSlide, imagecodecs for the pictures, scikit-learn for the clusters."""
        return {"wsi": ("openslide", "imagecodecs", "torch"), "pathgen": ("sklearn",)}

    @property
    def device(self) -> str | None:
        """Device of the model."""
        return self.clip.device

    def result_path(self, slide_id: str) -> Path:
        """Return the folder of a slide, which appears when all its files and pictures are written."""
        return self.work / "slides" / slide_id

    def with_readers(self, readers: int) -> SelectRecipe:
        """Return a copy with at least ``readers`` reader threads."""
        return replace(self, readers=max(readers, self.readers))

    def open(self, device: str | None) -> Steps:
        """Load the model; return the function that works on one slide."""
        clip = load_clip(replace(self.clip, device=device or self.clip.device))

        def steps(job: SlideJob, tell: Tell) -> Outcome:
            return self._select(job, clip, tell)  # type: ignore[arg-type]

        return steps

    def _select(self, job: SelectJob, clip: Clip, tell: Tell) -> Outcome:
        prompts, folder = self.prompts[job.project], self.result_path(job.slide_id)
        settings = self._settings(job, clip)
        if folder.exists() and not self.overwrite:
            done = read_json(folder / METRICS)
            was = done.get("slide_file") or {"path": "", "content": None}  # earlier versions do not record it
            check_same_slide(folder / METRICS, job.slide, content=was["content"], was=was["path"])
            found = json.dumps(done["settings"], sort_keys=True)
            check_same_settings(folder / METRICS, found=found, wanted=settings)
            areas = json.dumps(done["areas"]) if done.get("areas") else None
            if (self.work / "images" / job.slide_id).is_dir():
                return Outcome(slide_id=job.slide_id, status="skipped", patches=done["chosen"], areas=areas)
        with Slide(job.slide) as slide:
            grid = find_grid(slide, self.grid, job.mask)
            analysis = analyse(
                slide,
                grid,
                clip,
                prompts,
                job.report,
                self.choice,
                FeatureOptions(batch_size=self.clip.batch_size, readers=self.readers),
                lambda encoded, patches: tell(job.slide_id, encoded, patches),
            )
            self._save_patches(slide, analysis)
            with replacing_folder(folder) as temporary:
                write_features(temporary / "features.h5", slide, analysis, clip.describe())
                write_rankings(temporary, job.slide, analysis, top=self.choice.target)
                write_metrics(temporary / METRICS, job.slide, job.project, analysis, settings)
                rows = manifest_rows(job.slide_id, job.project, analysis)
                (temporary / ROWS).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        notes = (f"chosen of {len(analysis.features)}", *grid.notes)
        if cut := clip.cut([*prompts, *job.report]):
            notes += (f"{len(cut)} sentences are longer than the model reads and were cut: {cut[0][:60]}...",)
        areas = None if grid.areas is None else grid.areas.to_json()
        return Outcome(slide_id=job.slide_id, status="done", patches=len(analysis.picks), notes=notes, areas=areas)

    def _save_patches(self, slide: Slide, analysis: Analysis) -> None:
        """Write the pictures of the chosen patches, all or none."""
        side_px0, side_px = analysis.grid.patch_size_level0, analysis.grid.patch_size
        with replacing_folder(self.work / "images" / slide.slide_id) as folder:
            for index, _ in analysis.picks:
                x, y = analysis.grid.coords_xy[index].tolist()
                pixels = slide.read(x, y, (side_px0, side_px0), (side_px, side_px))  # [side, side, 3]
                (folder / f"{x}_{y}.jpg").write_bytes(encode_jpeg(pixels, self.quality))

    def _settings(self, job: SelectJob, clip: Clip) -> str:
        """Return all settings that affect a slide's files, as JSON; texts and masks by a digest of their content."""
        grid, choice = asdict(self.grid), asdict(self.choice)
        del grid["tissue"]
        flat: dict[str, Any] = {
            **{f"tissue.{key}": value for key, value in self.grid.tissue.settings().items() if key != "mpp"},
            **grid,
            **choice,
            **{f"clip.{key}": value for key, value in clip.describe().items()},
            "project": job.project,
            "prompts": _digest(self.prompts[job.project]),
            "report": _digest(job.report) if job.report else None,
            **({"mask": None, "mask_class": None} if job.mask is None else job.mask.settings()),
            "jpeg_quality": self.quality,
        }
        # a round trip, so that tuples compare as the lists they are read back as
        return json.dumps(json.loads(json.dumps(flat)), sort_keys=True)


def write_manifest(work: Path) -> tuple[int, int]:
    """Join the rows of all finished slides in ``manifest.jsonl``; return the numbers of slides and rows."""
    files = sorted(path for path in (work / "slides").glob(f"*/{ROWS}") if not path.parent.name.startswith("."))
    rows = 0
    with replacing(work / MANIFEST) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as manifest:
        for path in files:
            text = path.read_text(encoding="utf-8")
            rows += text.count("\n")
            manifest.write(text)
    return len(files), rows


def _digest(sentences: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(sentences).encode()).hexdigest()[:12]
