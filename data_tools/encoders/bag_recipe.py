"""Slides to bags: the work of ``pathdata patch``, ``features`` and ``run`` on one slide."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from pathplugins.encoders.encoder import EncoderChoice, load_encoder

from ..engine.jobs import Recipe, SlideJob, Steps, Tell
from ..engine.outcome import Outcome
from ..engine.same_slide import check_same_slide
from ..tiling.coord_files import read_coords
from ..tiling.one_slide import patch_slide
from ..tiling.spec import TilingSpec
from .encode_slide import FeatureOptions, encode_slide


@dataclass(frozen=True, kw_only=True)
class BagJob(SlideJob):
    """One slide, or its coordinate file where ``tiling`` is None."""

    tiling: TilingSpec | None = None
    """How the slide is cut, with its own settings; None if it was cut before."""


@dataclass(frozen=True, kw_only=True)
class BagRecipe(Recipe):
    """Patches, features, or both."""

    bags: Path
    """Folder of the bags."""
    encoder: EncoderChoice | None = None
    """None: no features are made."""
    features: FeatureOptions = field(default_factory=FeatureOptions)
    """How features are made, where there is an encoder."""
    save_patches: bool = False
    """Whether the patches are written as pictures too."""

    @property
    def device(self) -> str | None:
        """Return the device of the encoder."""
        return None if self.encoder is None else self.encoder.device

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """Return the packages needed: OpenSlide; torch and timm for an encoder, imagecodecs for pictures."""
        encoder = ("torch", "timm") if self.encoder is not None else ()
        return {"wsi": ("openslide", *encoder, *(("imagecodecs",) if self.save_patches else ()))}

    def result_path(self, slide_id: str) -> Path:
        """Return the path of the bag, or of the coordinate file where no features are made."""
        return (self.work / "coords" if self.encoder is None else self.bags) / f"{slide_id}.h5"

    def check_same(self, job: BagJob) -> None:
        """Raise ``PathPluginsError`` where the patches that exist are of another slide."""
        coords = self.work / "coords" / f"{job.slide_id}.h5"
        if job.tiling is not None and coords.exists():
            patches = read_coords(coords)
            check_same_slide(coords, job.slide, content=patches.slide_content, was=patches.slide)

    def with_readers(self, readers: int) -> BagRecipe:
        """Return a copy with at least ``readers`` reader threads."""
        return replace(self, features=replace(self.features, readers=max(readers, self.features.readers)))

    def open(self, device: str | None) -> Steps:
        """Load the encoder and return the function that does one slide."""
        choice = self.encoder
        encoder = None if choice is None else load_encoder(replace(choice, device=device or choice.device))

        def steps(job: SlideJob, tell: Tell) -> Outcome:
            coords = job.slide
            outcomes = []
            if job.tiling is not None:
                coords = self.work / "coords" / f"{job.slide_id}.h5"
                outcomes.append(patch_slide(job.slide, self.work, job.tiling, overwrite=self.overwrite))
            if encoder is not None:
                outcomes.append(
                    encode_slide(
                        coords,
                        self.bags,
                        encoder,
                        self.features,
                        overwrite=self.overwrite,
                        on_batch=lambda encoded, patches: tell(job.slide_id, encoded, patches),
                        slide_path=None if job.tiling is None else job.slide,
                    )
                )
            done = [outcome for outcome in outcomes if outcome.status == "done"]
            notes = tuple(note for outcome in outcomes for note in outcome.notes)
            return replace(outcomes[-1], status="done" if done else "skipped", notes=notes, areas=outcomes[0].areas)

        return steps
