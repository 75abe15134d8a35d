"""Outputs: the captions, and beside them what was refused and what failed; all appear when the run ends well."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TextIO

from pathplugins.core.files import meant_by, replacing
from pathplugins.data.records import SHOWN, BadSample, report_text

from .rows import Pair, image_beside

CONVERSATIONS = "conversations"  #: of PathGen-Instruct, left out: a reader would take them and not the caption
REFUSED = "refused"  #: begins the reason of what a model or a filter declined


class Captioned(NamedTuple):
    """A row all of whose stages were answered."""

    pair: Pair
    captions: dict[str, str]
    """Stage -> text, those of earlier runs included."""
    models: dict[str, str]
    """Stage -> model, of this run, in its order."""


class Missed(NamedTuple):
    """A row without a caption."""

    pair: Pair
    captions: dict[str, str]
    """As far as it got."""
    stage: str
    refused: bool
    reason: str
    text: str
    """What was said instead of an answer, or what went wrong."""


class Outputs:
    """``FILE``, ``FILE.refused.jsonl`` and ``FILE.failed.jsonl``; a context manager, for one run at a time.

    An empty one is not written, and one of an earlier run goes.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self.refused_path = out.with_name(f"{out.name}.refused.jsonl")
        self.failed_path = out.with_name(f"{out.name}.failed.jsonl")
        self.counts: Counter[Path] = Counter()
        """Rows in each file."""
        self._reasons: Counter[str] = Counter()
        self._first: list[BadSample] = []
        self._stack = ExitStack()
        self._files: dict[Path, TextIO] = {}

    def put(self, outcome: Captioned | Missed) -> None:
        """Write the row where it belongs."""
        pair, image = outcome.pair, image_beside(outcome.pair, self._out.parent)
        if isinstance(outcome, Captioned):
            *_, last = outcome.models
            row = {name: value for name, value in pair.cells.items() if name != CONVERSATIONS}
            row |= {"image": image, "caption": outcome.captions[last], "captions": outcome.captions}
            row |= {"model": outcome.models[last], "models": {**pair.models(), **outcome.models}}
            self._write(self._out, row)
            return
        reason = f"{REFUSED} ({outcome.reason})" if outcome.refused else outcome.reason
        self._reasons[reason] += 1
        if len(self._first) < SHOWN:
            detail = f"{outcome.stage}: {outcome.text[:300]}"
            self._first.append(BadSample(source=pair.source, row=pair.row, reason=reason, detail=detail))
        why = {"stage": outcome.stage, "reason": outcome.reason, "text": outcome.text, "captions": outcome.captions}
        path = self.refused_path if outcome.refused else self.failed_path
        self._write(path, {"image": image, "row": pair.row, **why})

    def report(self) -> str:
        """What has no caption and why; empty if all have one."""
        if not self._reasons:
            return ""
        kept = " and ".join(str(path) for path in (self.refused_path, self.failed_path) if self.counts[path])
        missed = self._reasons.total()
        return f"{report_text(missed, self.counts.total(), self._reasons, self._first)}\nAll of them: {kept}"

    def __enter__(self) -> Outputs:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in self._paths()}
        for left in self._out.parent.iterdir():
            if meant_by(left) in names:  # of a run that was killed: the caller holds the lock
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
