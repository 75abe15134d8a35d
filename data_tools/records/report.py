"""The rows a conversion leaves out: written beside the output as they come, the first few kept to be shown."""

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
    """Collects them, in a file that is there when the block ends well and some are; one of an earlier run goes."""

    def __init__(self, beside: Path | None) -> None:
        """``beside`` is the file; None keeps none."""
        self.rows = 0
        """Rows left out."""
        self.bad = 0
        """Those of them that have another fault than being too large."""
        self._beside = beside
        self._reasons: Counter[str] = Counter()
        self._first: list[BadSample] = []
        self._stack, self._file = ExitStack(), None

    def add(self, faults: list[BadSample]) -> None:
        """Note all that is wrong with one row."""
        self.rows += 1
        self.bad += any(fault.reason != TOO_LARGE for fault in faults)
        self._reasons.update(fault.reason for fault in faults)
        self._first += faults[: SHOWN - len(self._first)]
        if self._beside is not None:
            self._file = self._file or self._open(self._beside)
            self._file.writelines(map(bad_sample_line, faults))

    def text(self, good: int) -> str:
        """The report, for so many good rows; empty if no row is left out."""
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
