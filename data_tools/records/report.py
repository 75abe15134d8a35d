"""Rows left out of an output: listed in a file beside it, counted by reason, the first few shown."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TextIO

from pathplugins.core.files import replacing
from pathplugins.data.records import SHOWN, BadSample, bad_sample_line, report_text

TOO_LARGE = "too many pixels"  #: the reason ``check_image`` gives; such a row stops nothing


class BadRows:
    """Collects rows left out, in a file that appears when the block succeeds.

    Without rows there is no file, and one left by an earlier run is deleted.
    """

    def __init__(self, beside: Path | None) -> None:
        """Write the rows to the file ``beside``; None writes none."""
        self.rows = 0
        """Rows left out."""
        self.bad = 0
        """Rows among them whose fault is not the size of an image."""
        self._beside = beside
        self._reasons: Counter[str] = Counter()
        self._first: list[BadSample] = []
        self._stack, self._file = ExitStack(), None

    def add(self, faults: list[BadSample]) -> None:
        """Add the faults of one row."""
        self.rows += 1
        self.bad += any(fault.reason != TOO_LARGE for fault in faults)
        self._reasons.update(fault.reason for fault in faults)
        self._first += faults[: SHOWN - len(self._first)]
        if self._beside is not None:
            self._file = self._file or self._open(self._beside)
            self._file.writelines(map(bad_sample_line, faults))

    def text(self, good: int) -> str:
        """Return the report, given the number of good rows; empty if no row is left out."""
        if not self.rows:
            return ""
        text = report_text(self.rows, good + self.rows, self._reasons, self._first)
        return text if self._beside is None else f"{text}\nAll of them: {self._beside}"

    def __enter__(self) -> BadRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if error is None and self._beside is not None and not self.rows:
            self._beside.unlink(missing_ok=True)

    def _open(self, beside: Path) -> TextIO:
        temporary = self._stack.enter_context(replacing(beside))
        return self._stack.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))
