"""Result files of captioning: captions, refused rows and failed rows; they appear when the run ends well."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TextIO

from pathplugins.core.files import meant_by, replacing
from pathplugins.data.records import SHOWN, BadSample, report_text

from .rows import PatchRow, image_beside

CONVERSATIONS = "conversations"
"""Column of PathGen-Instruct, dropped: a reader would train on it instead of the caption."""
REFUSED = "refused"  #: start of the reason given for rows that a model or a content filter declined


class Captioned(NamedTuple):
    """A row with an answer for every stage."""

    row: PatchRow
    captions: dict[str, str]
    """Stage -> text, including earlier runs."""
    models: dict[str, str]
    """Stage -> model, of this run only, in the order of the stages."""


class Missed(NamedTuple):
    """A row without a caption."""

    row: PatchRow
    captions: dict[str, str]
    """Captions of the stages before the one that failed."""
    stage: str
    refused: bool
    reason: str
    text: str
    """The reply instead of an answer, or the error."""


class ResultFiles:
    """``FILE``, ``FILE.refused.jsonl`` and ``FILE.failed.jsonl``; a context manager, for one run at a time.

    A file without rows is not written, and one left by an earlier run is deleted.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self.refused_path = out.with_name(f"{out.name}.refused.jsonl")
        self.failed_path = out.with_name(f"{out.name}.failed.jsonl")
        self.counts: Counter[Path] = Counter()
        """Rows written to each file."""
        self._reasons: Counter[str] = Counter()
        self._first: list[BadSample] = []
        self._stack = ExitStack()
        self._files: dict[Path, TextIO] = {}

    def put(self, outcome: Captioned | Missed) -> None:
        """Write an outcome to the file it belongs to."""
        row, image = outcome.row, image_beside(outcome.row, self._out.parent)
        if isinstance(outcome, Captioned):
            *_, last = outcome.models
            cells = {name: value for name, value in row.cells.items() if name != CONVERSATIONS}
            cells |= {"image": image, "caption": outcome.captions[last], "captions": outcome.captions}
            cells |= {"model": outcome.models[last], "models": {**row.models(), **outcome.models}}
            self._write(self._out, cells)
            return
        reason = f"{REFUSED} ({outcome.reason})" if outcome.refused else outcome.reason
        self._reasons[reason] += 1
        if len(self._first) < SHOWN:
            detail = f"{outcome.stage}: {outcome.text[:300]}"
            self._first.append(BadSample(source=row.source, row=row.number, reason=reason, detail=detail))
        why = {"stage": outcome.stage, "reason": outcome.reason, "text": outcome.text, "captions": outcome.captions}
        path = self.refused_path if outcome.refused else self.failed_path
        self._write(path, {"image": image, "row": row.number, **why})

    def report(self) -> str:
        """Return the report of rows without a caption and why; empty if all have one."""
        if not self._reasons:
            return ""
        kept = " and ".join(str(path) for path in (self.refused_path, self.failed_path) if self.counts[path])
        missed = self._reasons.total()
        return f"{report_text(missed, self.counts.total(), self._reasons, self._first)}\nAll of them: {kept}"

    def __enter__(self) -> ResultFiles:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in self._paths()}
        for left in self._out.parent.iterdir():
            if meant_by(left) in names:  # left by a killed run; the caller holds the lock
                left.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if error is None:
            for path in self._paths():
                if not self.counts[path]:
                    path.unlink(missing_ok=True)

    def _paths(self) -> tuple[Path, Path, Path]:
        return self._out, self.refused_path, self.failed_path

    def _write(self, path: Path, row: dict[str, Any]) -> None:
        if path not in self._files:
            temporary = self._stack.enter_context(replacing(path))
            self._files[path] = self._stack.enter_context(
                temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
            )
        self.counts[path] += 1
        self._files[path].write(f"{json.dumps(row, ensure_ascii=False)}\n")
