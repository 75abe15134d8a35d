"""What is fuzzed: well-formed files of every kind that users give, each with the call that reads it to its end."""

from __future__ import annotations

from pathlib import Path

from benchmarks.reliability.targets.bags import bags
from benchmarks.reliability.targets.lists import lists
from benchmarks.reliability.targets.records import records
from benchmarks.reliability.targets.slides import slides
from benchmarks.reliability.targets.tables import tables
from benchmarks.reliability.targets.target import Target
from benchmarks.reliability.targets.weights import archives, weights

__all__ = ["Target", "targets"]


def targets(folder: Path) -> list[Target]:
    """Return all targets; ``folder`` is where the seeds are made."""
    return [*bags(folder), *records(folder), *tables(), *lists(), *weights(folder), *archives(), *slides(folder)]
