"""Extract the pictures of one slide's image-caption pairs, as files or as a WebDataset shard.

Source of the task: github.com/PathFoundation/PathGen-1.6M, Data_generation, step 3. The slide is opened once and read
in the order of its tiles. Files get their final names only when the whole slide is done.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pathplugins.core.content import content_print
from pathplugins.core.counted import counted
from pathplugins.core.files import temporary_beside

from ...engine.jobs import Recipe, SlideJob, Steps, Tell
from ...engine.outcome import Outcome
from ...engine.same_slide import check_same_slide
from ...pictures.files import add_sample, replacing_folder, replacing_tar
from ...slides.slide import Slide, SlideError
from .finished import (
    FinishedSlide,
    caption_name,
    check_settings,
    files_exist,
    files_of,
    finished_path,
    read_finished,
    remove_files,
    write_finished,
)
from .options import Frame, PairOptions, fraction_outside, frame_of
from .plan import Pair, Plan, PlannedSlide

COMMAND = "pathgen-extract"
BAND_PX0 = 256  #: height of the bands in which positions are read, level-0 pixels: about one row of tiles

Place = tuple[int, int]
Line = dict[str, Any]
Put = Callable[[Place, bytes, Sequence[Line]], None]
"""Writes the encoded picture of a place, with the manifest lines of its pairs."""


@dataclass(frozen=True, kw_only=True)
class PairJob(SlideJob):
    """The pairs of one slide to extract."""

    planned: PlannedSlide
    override_mpp: float | None = None
    """Level-0 microns per pixel given for this slide; None if not given."""
    gone: bool = False
    """The slide's file was not found; only pictures of an earlier run can be kept."""


@dataclass(frozen=True, kw_only=True)
class PairRecipe(Recipe):
    """Extraction of the image-caption pairs of every slide."""

    plan: Path
    options: PairOptions = field(default_factory=PairOptions)
    reader: Literal["auto", "openslide"] = "auto"
    """Which reader ``Slide`` uses; both give the same pixels."""

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """OpenSlide, and imagecodecs for the pictures."""
        return {"wsi": ("openslide", "imagecodecs")}

    def result_path(self, slide_id: str) -> Path:
        """Return the path of the record that marks a slide as finished."""
        return finished_path(self.work, slide_id)

    def open(self, device: str | None) -> Steps:
        """Open the plan; return the function that extracts one slide."""
        plan = Plan(self.plan)
        return lambda job, tell: extract_slide(job, plan, self, tell)  # type: ignore[arg-type]


def extract_slide(job: PairJob, plan: Plan, recipe: PairRecipe, tell: Tell) -> Outcome:
    """Write the pictures of one slide, then its record; skip a slide that is already finished.

    Raises:
        PathPluginsError: an earlier run used other settings, or the slide cannot be used.
    """
    work, options, planned = recipe.work, recipe.options, job.planned
    record = finished_path(work, job.slide_id)
    head = None if recipe.overwrite else read_finished(record)
    if head is not None:
        if not job.gone:
            check_same_slide(record, job.slide, content=head.slide_content, was=head.slide)
        check_settings(record, head, options, job.override_mpp)
        if head.digest == planned.digest and files_exist(work, record):
            return Outcome(slide_id=job.slide_id, status="skipped", patches=head.pictures, notes=_notes(head))
    if job.gone:
        raise SlideError(
            f"{job.slide_id}: some of its pictures or texts have changed since they were made, and its slide is no "
            "longer below --slides; copy the slide there again"
        )
    pairs = plan.pairs(planned.number)
    with Slide(job.slide, recipe.reader) as slide:
        cut = _cut(slide, job, pairs, options)
        old = files_of(record)
        with _picture_files(work, job.slide_id, options, record) if cut.lines else nullcontext() as put:
            for done, place in enumerate(sorted(cut.lines, key=lambda at: (at[1] // BAND_PX0, at)), start=1):
                pixels = slide.read(*place, (cut.frame.size_px0,) * 2, (options.size,) * 2)  # [size, size, 3]
                put(place, options.encode(pixels), cut.lines[place])
                tell(job.slide_id, done, len(cut.lines))
        slide_notes = slide.notes
    turns = {place: iter(lines) for place, lines in cut.lines.items()}
    write_finished(record, cut.head, [next(turns[at]) for pair in pairs if (at := (pair.x, pair.y)) in turns])
    remove_files(work, old - files_of(record))
    notes = _notes(cut.head, cut.frame.note, *slide_notes)
    return Outcome(slide_id=job.slide_id, status="done", patches=cut.head.pictures, notes=notes)


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """The pictures to cut from one slide."""

    frame: Frame
    lines: dict[Place, list[Line]]
    """Manifest lines of the pairs at each place that gets a picture."""
    head: FinishedSlide


def _cut(slide: Slide, job: PairJob, pairs: Sequence[Pair], options: PairOptions) -> _Cut:
    """Decide which places of a slide get a picture and which are left out."""
    texts: dict[Place, list[Pair]] = {}
    for pair in pairs:
        texts.setdefault((pair.x, pair.y), []).append(pair)
    frame = frame_of(slide, options, job.override_mpp)
    beyond = {place: fraction_outside(*place, frame.size_px0, slide.size_px0) for place in texts}
    kept = {place: out for place, out in beyond.items() if not out or (out < 1 and options.outside == "pad")}
    lines = _lines(job.planned, texts, frame, options, kept)
    has_outside, override = any(beyond.values()), job.override_mpp
    settings = options.settings(mpp_source=frame.mpp_source, has_outside=has_outside, override_mpp=override)
    left_out = [
        {"x": x, "y": y, "pairs": len(texts[x, y]), "outside": round(out, 4)}
        for (x, y), out in beyond.items()
        if (x, y) not in kept
    ]
    head = FinishedSlide(
        wsi_id=job.slide_id,
        digest=job.planned.digest,
        settings=json.loads(settings),
        mpp_source=frame.mpp_source,
        has_outside=has_outside,
        pairs=sum(map(len, lines.values())),
        pictures=len(kept),
        left_out=left_out,
        slide=str(job.slide),
        slide_content=content_print(job.slide),
    )
    return _Cut(frame=frame, lines=lines, head=head)


def _lines(
    planned: PlannedSlide, texts: dict[Place, list[Pair]], frame: Frame, options: PairOptions, kept: dict[Place, float]
) -> dict[Place, list[Line]]:
    """Return the manifest lines of each place in ``kept`` (place -> fraction of its box outside the slide)."""
    common: Line = {"size": options.size, "size_level0": frame.size_px0}
    common |= {"mpp": frame.mpp, "mpp_source": frame.mpp_source}
    stem = planned.wsi_id.replace(".", "_")  # a key of a shard ends at its first dot
    found: dict[Place, list[Line]] = {}
    for (x, y), outside in kept.items():
        for count, pair in enumerate(texts[x, y]):
            line: Line = {"image": options.image_name(planned.wsi_id, x, y)}
            if options.format == "webdataset":
                line = {"shard": f"{planned.wsi_id}.tar", "key": f"{stem}_{x}_{y}" + (f"_{count}" if count else "")}
            line |= {"wsi_id": planned.wsi_id, "x": x, "y": y}
            line |= {"caption": pair.caption} if pair.sample is None else pair.sample
            line |= {"file_id": planned.file_id} if planned.file_id else {}
            line |= common | ({"outside": round(outside, 4)} if outside else {})
            found.setdefault((x, y), []).append(line)
    return found


@contextmanager
def _picture_files(work: Path, slide_id: str, options: PairOptions, record: Path) -> Iterator[Put]:
    """Collect the pictures and publish them when the block succeeds, after deleting the outdated ``record``."""
    if options.format == "webdataset":
        with replacing_tar(work / f"{slide_id}.tar") as tar:

            def put(place: Place, content: bytes, lines: Sequence[Line]) -> None:
                for line in lines:
                    text = {"txt": line["caption"].encode()} if "caption" in line else {}
                    facts = json.dumps(line, ensure_ascii=False, sort_keys=True).encode()
                    add_sample(tar, line["key"], {options.suffix: content, **text, "json": facts})

            yield put
            record.unlink(missing_ok=True)
        return
    with replacing_folder(work / slide_id) if options.naming == "slide" else _scattered(work / slide_id) as folder:

        def put(place: Place, content: bytes, lines: Sequence[Line]) -> None:
            name = lines[0]["image"].rpartition("/")[2]
            (folder / name).write_bytes(content)
            if options.captions and (captions := [line["caption"] for line in lines if "caption" in line]):
                (folder / caption_name(name)).write_text("\n".join(captions), encoding="utf-8", newline="\n")

        yield put
        record.unlink(missing_ok=True)


@contextmanager
def _scattered(path: Path) -> Iterator[Path]:
    """Yield a folder to fill; its files move to the folder above it when the block succeeds."""
    temporary = temporary_beside(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.iterdir():
            file.replace(path.parent / file.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _notes(head: FinishedSlide, resolution: str | None = None, *reading: str) -> tuple[str, ...]:
    """Return notes for the user about a slide that was extracted."""
    lost = f"left out: {counted(len(head.left_out), 'position')} outside the slide" if head.left_out else None
    return tuple(note for note in (resolution, lost, *reading) if note)
