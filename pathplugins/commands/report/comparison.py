"""Compare runs over the same questions with a paired bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pathplugins.commands.report.results import Run
from pathplugins.data.scoring.metrics import Measure
from pathplugins.data.scoring.paired import MAIN, difference, unchanged


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a run gains over the first of its kind."""

    run: str
    base: str
    measure: str
    gained: Measure | None
    """Mean of run minus base; None where ``reason`` says why they cannot be compared."""
    same: Measure | None
    """Share of questions answered in the same words."""
    reason: str = ""

    @property
    def certain(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.gained is not None and (self.gained["low"] > 0 or self.gained["high"] < 0)


def compared(runs: Sequence[Run]) -> list[Comparison]:
    """Compare each run with the first that was asked the same for the same task; the rest with the first of all."""
    found = []
    for index, run in enumerate(runs[1:], start=1):
        task = run.told["task"]
        base = next((b for b in runs[:index] if b.told["task"] == task and b.asked == run.asked), None)
        if base is None:
            reason = f"not the same questions as {runs[0].name}" if task == runs[0].told["task"] else "another task"
            nothing = {"gained": None, "same": None}
            found.append(Comparison(run=run.name, base=runs[0].name, measure=MAIN[task], reason=reason, **nothing))
            continue
        said = ([line["prediction"] for line in each.lines] for each in (run, base))
        gained = difference(run.values, base.values)
        found.append(Comparison(run=run.name, base=base.name, measure=MAIN[task], gained=gained, same=unchanged(*said)))
    return found
