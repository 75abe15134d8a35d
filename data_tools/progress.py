"""Progress: a line per slide on stderr, a bar where that is a terminal, and what failed at the end."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from pathplugins.core.errors import MissingDependencyError, PathPluginsError

from .outputs import Outcome

FAILED, MISUSED, INTERRUPTED = 1, 2, 130  #: exit codes


def each_slide(items: list[Path], work: Callable[[Path], Outcome], folder: Path) -> int:
    """Do the work on every item; report failures, keep their tracebacks in ``folder/errors``, and go on.

    Returns:
        The exit code.
    """
    failed: dict[str, str] = {}
    with tqdm(total=len(items), unit="slide", disable=None) as bar:
        for number, item in enumerate(items, 1):
            record = folder / "errors" / f"{item.stem}.txt"
            try:
                outcome = work(item)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one slide must not stop the rest
                ours = isinstance(error, PathPluginsError | MissingDependencyError)
                failed[item.stem] = str(error) if ours else f"{type(error).__name__}: {error}"
                record.parent.mkdir(parents=True, exist_ok=True)
                record.write_text(traceback.format_exc(), encoding="utf-8")
                line = f"{item.stem}: failed"
            else:
                record.unlink(missing_ok=True)
                already = " (there already)" if outcome.status == "skipped" else ""
                line = "; ".join([f"{outcome.slide_id}: {outcome.patches} patches{already}", *outcome.notes])
            say(f"[{number}/{len(items)}] {line}")
            bar.update()
    if not failed:
        return 0
    say(f"{len(failed)} of {len(items)} slides failed; tracebacks are in {folder / 'errors'}:")
    for slide_id, reason in failed.items():
        say(f"  {slide_id}: {reason}")
    return FAILED


def say(line: str) -> None:
    """A line on stderr that leaves progress bars whole."""
    tqdm.write(line, file=sys.stderr)
