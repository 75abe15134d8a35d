"""The manifest of all extracted pairs, and the report of the pairs that are missing."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathplugins.core.counted import counted
from pathplugins.core.files import meant_by, replacing, write_text_whole
from pathplugins.data.records import first_shown

from ...engine.locks import Held, holding
from ...records.report import BadRows
from .finished import FOLDER, FinishedSlide, finished_path, read_finished
from .options import PairOptions
from .plan import Plan, PlannedSlide, build_plan, fingerprint_of

MANIFEST, PLAN, BAD, FAILURES = "manifest.jsonl", "plan.sqlite", "bad.jsonl", "failures.jsonl"
RESERVED = frozenset(("state", "locks", "errors", FOLDER, MANIFEST, PLAN, BAD, FAILURES))  #: names no slide may have
WAIT_S = 1.0

MISSING, FAILED_SLIDE, OUTSIDE = "missing slide", "failed slide", "outside the slide"  #: reasons of a failure


@contextmanager
def one_writer(work: Path) -> Iterator[None]:
    """Serialise writing of the run-wide files, and remove temporary copies left by killed runs."""
    while True:
        try:
            with holding(work / "locks" / ".pairs.lock"):
                for path in work.glob(".*.tmp"):
                    if meant_by(path) in (MANIFEST, PLAN, BAD, FAILURES):
                        path.unlink(missing_ok=True)
                yield
                return
        except Held:
            time.sleep(WAIT_S)


def open_plan(
    source: Path, work: Path, *, named: bool, keep_bad: bool, list_bad: bool = True
) -> tuple[Plan | None, str]:
    """Open the plan of a source, building it first unless it is current; return it with the report of bad rows.

    Args:
        source: The caption file.
        work: The output folder.
        named: Whether pictures are written under the file names that PathGen-Instruct gives them.
        keep_bad: Leave bad rows out; otherwise a source with bad rows gives None for the plan.
        list_bad: Write the list of bad rows; False for a dry run, whose ``work`` is a temporary folder.
    """
    path = work / PLAN
    with one_writer(work):
        if path.exists():
            plan = Plan(path)
            if plan.fingerprint == fingerprint_of(source, named=named) and (keep_bad or not plan.bad):
                return plan, f"left out: {counted(plan.bad, 'bad row')}; all: {work / BAD}" if plan.bad else ""
            plan.close()
        with BadRows(work / BAD if list_bad else None) as bad_rows:
            build_plan(source, path, bad_rows, named=named, reserved=RESERVED)
        plan = Plan(path)
        report = bad_rows.text(sum(slide.pairs + slide.repeats for slide in plan.slides()))
        if bad_rows.rows and not keep_bad:
            plan.close()
            path.unlink()
            return None, report
    return plan, report


@dataclass(kw_only=True)
class Gathered:
    """Counts of the extracted pairs and the failures, over all slides."""

    slides: int = 0
    """Slides with at least one pair."""
    pairs: int = 0
    pictures: int = 0
    repeats: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)
    """``wsi_id``, ``pairs``, ``reason``, ``detail``; with ``x`` and ``y`` if one place failed."""

    def lost(self, reason: str) -> int:
        """Count the pairs that are missing for this reason."""
        return sum(failure["pairs"] for failure in self.failures if failure["reason"] == reason)

    def text(self, work: Path) -> str:
        """Return the report for the terminal."""
        lines = [
            f"{work / MANIFEST}: {counted(self.pairs, 'pair')}, {counted(self.pictures, 'picture')} "
            f"of {counted(self.slides, 'slide')}"
        ]
        if self.repeats:
            lines[0] += f"; {counted(self.repeats, 'exact repeat')} left out"
        if self.failures:
            counts = Counter(failure["reason"] for failure in self.failures)
            reasons = ", ".join(f"{self.lost(reason)} for {n} x {reason}" for reason, n in counts.most_common())
            lines.append(f"missing: {counted(sum(map(self.lost, counts)), 'pair')}: {reasons}")
            # the engine has reported failed slides already
            others = [failure for failure in self.failures if failure["reason"] != FAILED_SLIDE]
            if others:
                lines.append(first_shown([f"{_place(failure)}: {failure['detail']}" for failure in others]))
            lines.append(f"All of them: {work / FAILURES}")
        return "\n".join(lines)


def gather(
    work: Path,
    slides: Sequence[PlannedSlide],
    options: PairOptions,
    overrides: Mapping[str, float],
    missing: Collection[str],
    failure: Callable[[str], str | None],
) -> Gathered:
    """Write the manifest and the list of failures, each whole or not at all.

    Slides stand in the order in which the source first names them, the pairs of a slide in the order of the source.

    Args:
        work: The output folder.
        slides: All slides that the source names.
        options: How pairs are made now; records of other options or older texts count as absent.
        overrides: ``wsi_id`` -> level-0 microns per pixel given for it.
        missing: ``wsi_id`` of slides without a file.
        failure: Returns why a slide failed in this run, None if it did not; its earlier files may be incomplete.
    """
    found = Gathered()
    with one_writer(work):
        with replacing(work / MANIFEST) as temporary, temporary.open("wb") as manifest:
            for slide in slides:
                path = finished_path(work, slide.wsi_id)
                head, why = read_finished(path), None if slide.wsi_id in missing else failure(slide.wsi_id)
                if why or head is None or not is_current(head, slide, options, overrides.get(slide.wsi_id)):
                    reason = MISSING if slide.wsi_id in missing else FAILED_SLIDE
                    why = why or ("its file is not below --slides" if reason == MISSING else "was not done")
                    found.failures.append(_failure(slide.wsi_id, slide.pairs, reason, why))
                    continue
                with path.open("rb") as record:
                    record.readline()
                    shutil.copyfileobj(record, manifest)
                _count(found, slide, head)
        _write_failures(work / FAILURES, found.failures)
    return found


def is_current(head: FinishedSlide, slide: PlannedSlide, options: PairOptions, override_mpp: float | None) -> bool:
    """Return whether a record matches the current texts and options."""
    wanted = options.settings(mpp_source=head.mpp_source, has_outside=head.has_outside, override_mpp=override_mpp)
    return head.digest == slide.digest and head.settings == json.loads(wanted)


def _count(found: Gathered, slide: PlannedSlide, head: FinishedSlide) -> None:
    found.slides += head.pairs > 0
    found.pairs += head.pairs
    found.pictures += head.pictures
    found.repeats += slide.repeats
    for place in head.left_out:
        detail = f"{place['outside']:.0%} of its box lies beyond the slide"
        failure = _failure(slide.wsi_id, place["pairs"], OUTSIDE, detail)
        found.failures.append(failure | {"x": place["x"], "y": place["y"]})


def _failure(wsi_id: str, pairs: int, reason: str, detail: str) -> dict[str, Any]:
    return {"wsi_id": wsi_id, "pairs": pairs, "reason": reason, "detail": detail}


def _place(failure: dict[str, Any]) -> str:
    at = f" at ({failure['x']}, {failure['y']})" if "x" in failure else ""
    return f"{failure['wsi_id']}{at}: {failure['reason']}"


def _write_failures(path: Path, failures: Sequence[dict[str, Any]]) -> None:
    """Write the failures as JSON lines; delete the file of an earlier run if there are none."""
    if not failures:
        path.unlink(missing_ok=True)
        return
    write_text_whole(path, "".join(f"{json.dumps(failure, ensure_ascii=False)}\n" for failure in failures))
