"""Records: one conversation about some images, whatever format it came from, and what to do with bad ones."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.core.files import write_text_whole
from pathplugins.data.checks import PassedChecks

IMAGE_PLACEHOLDER = "<image>"
OTHER_PLACEHOLDERS = ("<video>", "<audio>")
"""Stand for media in the trainers' data that no model here can look at or listen to."""

SHOWN = 20  #: bad samples a report shows with their place
_PROGRESS_S = 10.0

logger = logging.getLogger(__name__)


class Turn(NamedTuple):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, kw_only=True, init=False)
class Record:
    """One training sample."""

    id: str
    """Unique within its source; patch sampling is seeded by it."""
    conversations: tuple[Turn, ...]
    """Text with one ``<image>`` per entry of ``images``."""
    images: tuple[str, ...]
    meta: dict[str, str]
    source: str
    """The file the record came from."""
    row: int
    """The line of the record in ``source``, as an editor counts: the header is 1."""

    def __init__(
        self,
        *,
        id: str,
        conversations: tuple[Turn, ...],
        images: tuple[str, ...],
        meta: dict[str, str],
        source: str,
        row: int,
    ) -> None:
        """Set all fields at once: assigning six frozen ones takes three times as long, and there are millions."""
        self.__dict__.update(id=id, conversations=conversations, images=images, meta=meta, source=source, row=row)


@dataclass(frozen=True, kw_only=True)
class BadSample:
    """Why a sample cannot be trained on."""

    source: str
    row: int | None
    """None if the whole source cannot be used."""
    reason: str
    """A short class to count by, e.g. ``missing file``."""
    detail: str
    """The full sentence."""


@dataclass(kw_only=True)
class BadSampleReport:
    """Collects all bad samples of a dataset, to report them in one message."""

    total: int
    """Samples looked at, good ones included."""
    bad: list[BadSample] = field(default_factory=list)

    def add(self, samples: Iterable[BadSample]) -> None:
        """Add bad samples to the report."""
        self.bad.extend(samples)

    def text(self) -> str:
        """Return the report as lines: how many, counts by reason, the first few with their place."""
        samples = len({(sample.source, sample.row) for sample in self.bad})
        return report_text(samples, self.total, Counter(sample.reason for sample in self.bad), self.bad)

    def write(self, path: Path) -> None:
        """Write all bad samples as JSON lines."""
        write_text_whole(path, "".join(map(bad_sample_line, self.bad)))

    def raise_if_any(self) -> None:
        """Raise the text as ``BadSamplesError`` unless every sample was good."""
        if self.bad:
            raise BadSamplesError(self.text())


def first_shown(faults: Sequence[str]) -> str:
    """Return the first of many faults as the lines of a report, and how many more there are."""
    more = [f"  ... and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return "\n".join([*(f"  {fault}" for fault in faults[:SHOWN]), *more])


def report_text(samples: int, total: int, reasons: Counter[str], first: Sequence[BadSample]) -> str:
    """Say that ``samples`` of ``total`` are bad for these reasons: counts, and the first few with their place."""
    counts = ", ".join(f"{count} x {reason}" for reason, count in reasons.most_common()) or "none"
    lines = [f"{samples} of {total} samples cannot be used: {counts}"]
    for sample in first[:SHOWN]:
        place = sample.source if sample.row is None else f"{sample.source}:{sample.row}"
        lines.append(f"  {place}: {sample.reason}: {sample.detail}")
    if (more := reasons.total() - SHOWN) > 0:
        lines.append(f"  ... and {more} more")
    return "\n".join(lines)


def bad_sample_line(sample: BadSample) -> str:
    """Return a bad sample as a line of JSON."""
    return f"{json.dumps(asdict(sample), ensure_ascii=False)}\n"


def apply_policy(
    records: Iterable[Record],
    bad: Sequence[BadSample],
    *,
    on_bad_sample: Literal["error", "skip"],
    report_path: Path | None = None,
    to_skip: str = "set on_bad_sample: skip to train without them",
) -> list[Record]:
    """Return the records to use: all of them, or the good ones where bad ones are to be skipped.

    Args:
        records: all that were read.
        bad: the faults; a record is bad if one of them names its row, or its whole source.
        on_bad_sample: ``error`` or ``skip``.
        report_path: JSON lines of all bad samples, written if there are any.
        to_skip: how the user asks for ``skip``, for the message.

    Raises:
        BadSamplesError: there are bad records and ``on_bad_sample`` is ``error``, or no record is good.
    """
    if on_bad_sample not in ("error", "skip"):
        raise PathPluginsError(f"on_bad_sample is {on_bad_sample!r}, expected 'error' or 'skip'")
    records = list(records)
    places = {(sample.source, sample.row) for sample in bad}
    good = [r for r in records if (r.source, r.row) not in places and (r.source, None) not in places]
    if not bad:
        return good
    report = BadSampleReport(total=len(places | {(r.source, r.row) for r in records}), bad=list(bad))
    text = report.text()
    if report_path is not None:
        report.write(report_path)
        text += f"\nAll of them: {report_path}"
    if on_bad_sample == "error":
        raise BadSamplesError(f"{text}\nCorrect these samples, or {to_skip}.")
    if not good:
        raise BadSamplesError(f"{text}\nNo sample is left; correct them.")
    logger.warning("%s\nThey are left out (on_bad_sample: skip).", text)
    return good


def check_record(record: Record) -> BadSample | None:
    """Return the fault of a record by itself, whatever its files are; None if it has none."""
    turns = record.conversations
    if len(turns) == 2:  # the most common by far, at a third of the time
        (asker, asked), (answerer, answer) = turns
        asks = asker == "user" and asked.count(IMAGE_PLACEHOLDER) == len(record.images) and "<video>" not in asked
        if (
            asks
            and "<audio>" not in asked
            and answerer == "assistant"
            and IMAGE_PLACEHOLDER not in answer
            and answer.strip()
        ):
            return None
    reason, detail = "", ""
    roles = [role for role, _ in turns]
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    marks = [(role, count) for role, text in turns if (count := text.count(IMAGE_PLACEHOLDER))]
    placeholders = sum([count for _, count in marks])
    outside = [role for role, _ in marks if role != "user"]
    others = [mark for mark in OTHER_PLACEHOLDERS for role, text in turns if role == "user" and mark in text]
    if not spoken or len(spoken) % 2 or spoken != ["user", "assistant"] * (len(spoken) // 2):
        reason, detail = "turn order", f"roles are {roles}; expected user and assistant in turn, assistant last"
    elif not all([text.strip() for role, text in turns if role == "assistant"]):  # noqa: C419 - takes half the time
        reason, detail = "empty answer", "an answer has no text; expected something to learn"
    elif others:
        reason = "unsupported content"
        detail = f"a question says {others[0]}, which no model here can look at or listen to; leave the sample out"
    elif outside:
        reason, detail = "misplaced placeholder", f"{IMAGE_PLACEHOLDER} stands in a turn of {outside[0]}, expected user"
    elif placeholders != len(record.images):
        reason = "placeholder count"
        detail = f"{placeholders} {IMAGE_PLACEHOLDER} in the text but {len(record.images)} images; expected as many"
    if not reason:
        return None
    return BadSample(source=record.source, row=record.row, reason=reason, detail=f"{record.id}: {detail}")


def check_images(
    records: Iterable[Record],
    check: Callable[[str], object],
    *,
    workers: int = 8,
    progress: bool = False,
    cache: Path | None = None,
    cache_key: str = "",
) -> list[BadSample]:
    """Check every distinct image once and report every row that uses a bad one, in the order of the records.

    Args:
        records: whose images are checked.
        check: Called in threads; a ``ValueError`` (as all ours are) or ``OSError`` names the fault of the file.
        workers: Threads.
        progress: Log every ten seconds how far it is.
        cache: JSON file in which passed checks are remembered.
        cache_key: Names the check and its settings, e.g. the feature width asked for.
    """
    records = list(records)
    images = dict.fromkeys(image for record in records for image in record.images)
    passed = PassedChecks(cache, cache_key)
    failures: dict[str, tuple[str, str]] = {}

    def run(image: str) -> tuple[str, str] | None:
        stamp = passed.stamp(image)
        if passed.has(image, stamp):
            return None
        try:
            check(image)
        except (ValueError, OSError) as error:
            return image_failure(image, error)
        passed.add(image, stamp)
        return None

    pool, said_at = ThreadPoolExecutor(max_workers=workers), time.monotonic()
    try:
        futures = {pool.submit(run, image): image for image in images}
        for done, future in enumerate(as_completed(futures), start=1):
            if failure := future.result():
                failures[futures[future]] = failure
            if progress and (done == len(images) or time.monotonic() - said_at > _PROGRESS_S):
                logger.info("checked %d of %d files, %d bad", done, len(images), len(failures))
                said_at = time.monotonic()
    finally:
        pool.shutdown(cancel_futures=True)
        passed.save()  # also when interrupted: what was read stays read
    return [
        BadSample(source=record.source, row=record.row, reason=reason, detail=detail)
        for record in records
        for image in dict.fromkeys(record.images)
        if image in failures
        for reason, detail in [failures[image]]
    ]


def image_failure(image: str, error: Exception) -> tuple[str, str]:
    """Return reason and detail of a ``BadSample`` for the error that a check of an image raised."""
    detail = str(error) if image in str(error) else f"{image}: {error}"
    if isinstance(error, PathPluginsError):
        return getattr(error, "reason", "unusable file"), detail  # bags say which kind of bad they are
    if isinstance(error, FileNotFoundError):
        return "missing file", detail
    return ("unreadable file" if isinstance(error, OSError) else "unusable file"), detail
