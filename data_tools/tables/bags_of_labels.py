"""Match labels with bags: by the id of the slide, without the suffixes of slide and feature files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.spreadsheets import same_ids
from pathplugins.data.bags import inspect_bag
from pathplugins.data.bags.encoders import unfit_encoders
from pathplugins.data.bags.magnifications import magnifications_text
from pathplugins.data.records import first_shown

from ..bags.base import Source
from ..bags.find import find_sources
from ..splits.row_groups import slide_name
from .labels import SlideLabel

READ_BY_TRAINERS = ("pathplugins", "unpuzzle", "clam", "trident", "stamp", "h5-features")


class Labelled(NamedTuple):
    """A slide with its label and its bag."""

    slide_id: str
    label: SlideLabel
    bag: Path


@dataclass(kw_only=True)
class Join:
    """Labels with bags, and what could not be joined, by kind."""

    slides: list[Labelled] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Kind of the fault -> a line each."""
    notes: list[str] = field(default_factory=list)
    """Ids that were read as others."""

    def report(self) -> str:
        """Return the faults: counts and names of each kind."""
        return "\n".join(f"{len(lines)} {kind}:\n{first_shown(lines)}" for kind, lines in self.faults.items())


def find_bags(folder: Path) -> tuple[list[Source], list[str]]:
    """Return the bags in a folder, and what is wrong with files that cannot be read.

    Raises:
        PathPluginsError: no such folder, no bag in it, or bags that trainers do not read; names the command that
            converts them.
    """
    sources, others = find_sources(folder, "auto", as_they_are=True)
    foreign = Counter(source.kind for source in sources if source.kind not in READ_BY_TRAINERS)
    if foreign:
        kinds = ", ".join(f"{count} {kind}" for kind, count in foreign.items())
        new = folder.with_name(f"{folder.stem}_h5")
        raise PathPluginsError(
            f"{folder}: {kinds} of {len(sources)} are files that trainers do not read as bags; convert them, `pathdata "
            f"convert features {folder} --coords COORDS --out {new}` (--to bare in place of --coords COORDS for towers "
            f"that ask for no positions), and pass --bags {new}"
        )
    return sources, [other.reason for other in others if other.status == "failed"]


def join_bags(labels: Sequence[SlideLabel], sources: Sequence[Source]) -> Join:
    """Join labels with bags of the same slide.

    Ids differ at most by suffixes: ``7.svs`` is ``7.h5``. One without a bag, for which there is just one that a
    spreadsheet would have changed to it (``007`` to ``7``), is taken for that, which is noted. A slide with several
    bags or with several labels that differ is left to the report.
    """
    joined = Join()
    bags, rows = defaultdict(list), defaultdict(list)
    for source in sources:
        bags[slide_name(source.slide_id)].append(source)
    ids = same_ids((slide_name(label.slide) for label in labels), bags, where="the labels")
    joined.notes += [note] if (note := ids.note()) else []
    for label in labels:
        name = slide_name(label.slide)
        rows[ids.matched.get(name, name)].append(label)
    for slide_id, several in rows.items():
        lines = ", ".join(f"line {label.row}: {label.label}" for label in several)
        if len({label.label for label in several}) > 1:
            joined.faults["slides with several labels"].append(f"{slide_id}: {lines}")
        elif slide_id not in bags:
            joined.faults["labels without a bag"].append(f"{slide_id} (line {several[0].row})")
        elif len(bags[slide_id]) > 1:
            files = ", ".join(str(source.path) for source in bags[slide_id])
            joined.faults["slides with several bags"].append(f"{slide_id}: {files}")
        else:
            if len(several) > 1:
                joined.faults["slides named more than once"].append(f"{slide_id}: {lines}")
            joined.slides.append(Labelled(slide_id, several[0], bags[slide_id][0].path))
    joined.faults["bags without a label"] += [str(bags[name][0].path) for name in bags if name not in rows]
    joined.faults = {kind: lines for kind, lines in joined.faults.items() if lines}
    return joined


def check_bags(joined: Join) -> list[str]:
    """Read what the bags say about themselves: those that cannot be read leave ``slides`` and become faults.

    Returns:
        Notes: bags of several magnifications, and those whose positions have no recorded scale.

    Raises:
        PathPluginsError: bags of several widths or several encoders, which no model reads together.
    """
    widths: dict[str, int] = {}
    mpps: dict[str, float | None] = {}
    encoders: dict[str, str | None] = {}
    unsaid: list[Path] = []
    bare: list[Path] = []
    good = []
    for slide in joined.slides:
        try:
            info = inspect_bag(slide.bag, positions=False)
        except PathPluginsError as error:
            joined.faults.setdefault("bags that cannot be read", []).append(str(error))
            continue
        good.append(slide)
        mpps[str(slide.bag)] = info.mpp
        widths[str(slide.bag)], encoders[str(slide.bag)] = info.width, info.encoder
        if not info.positions:
            bare.append(slide.bag)
        elif info.units != "um" and not (info.level0_mpp or (info.mpp and info.patch_size and info.patch_size_level0)):
            unsaid.append(slide.bag)
    joined.slides = good
    if len(set(widths.values())) > 1:
        first = {width: path for path, width in reversed(widths.items())}
        which = ", ".join(f"{n} are {width} wide ({first[width]})" for width, n in Counter(widths.values()).items())
        raise PathPluginsError(f"bags are of several encoders: {which}; pass --bags with the folder of one encoder")
    if unfit := unfit_encoders(encoders, None):
        raise PathPluginsError(
            f"bags are of several encoders; pass --bags with the folder of one:\n{first_shown([*unfit.values()])}"
        )
    mixed = magnifications_text(mpps)
    notes = [mixed] if mixed else []
    if bare:
        notes.append(
            f"{len(bare)} bags hold no positions ({bare[0]}): towers that ask for none read them (vision_model_name: "
            "features)"
        )
    if not unsaid:
        return notes
    return [
        *notes,
        f"{len(unsaid)} bags record no scale of their positions ({unsaid[0]}): a slide encoder that uses them needs "
        "coords_mpp in its configuration, or bags of `pathdata convert features --coords DIR`",
    ]
