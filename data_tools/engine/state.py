"""State: the result of every slide of a work folder, in one small file per slide, so that concurrent runs only add.

``state/<command>.json`` lists the slides asked for; ``state/<command>/<slide_id>.json`` says how one ended. Whether a
slide is done is decided by the file it makes; the state is for people and for ``pathdata status``.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_text_whole
from pathplugins.core.json_values import parse_json

from .locks import Holder, holder_of


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one slide ended."""

    slide_id: str
    status: Literal["done", "skipped", "failed", "held"]
    """``skipped``: done before; ``held``: another process is doing it."""
    patches: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    """Facts that the user should know although the slide is done."""
    areas: str | None = None
    """Shares of the slide that are tissue or left out (``Areas.to_json``); None where nobody looked."""
    reason: str = ""
    """Why it failed, in a sentence; or the process that holds it."""
    trace: str = ""
    """The traceback of a failure."""
    fatal: bool = False
    """Whether the next slide would fail as well, as with a full disk."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """Progress of a command in a work folder."""

    command: str
    slides: int
    done: int
    failed: dict[str, str]
    """slide id -> reason."""
    working: dict[str, str]
    """slide id -> the process that does it."""
    left: int
    """Slides neither done nor failed; those being done count."""
    patches: int
    """Patches of the slides that are done."""
    patches_per_second: float | None
    """Rate since the command was last started; None while no slide is done, or where the clock was set back."""
    seconds_to_go: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the progress as plain values."""
        return asdict(self)


class StateFolder:
    """The state of one command in a work folder."""

    def __init__(self, folder: Path, command: str) -> None:
        self.command = command
        self._list = folder / "state" / f"{command}.json"
        self._slides = folder / "state" / command
        self._locks = folder / "locks"
        self._errors = folder / "errors"

    def lock(self, slide_id: str) -> Path:
        """Return the lock file of a slide, which all commands share."""
        return self._locks / f"{slide_id}.lock"

    def begin(self, slide_ids: Iterable[str]) -> None:
        """Record which slides are asked for, in addition to those asked for before."""
        slides = dict.fromkeys([*self._wanted().get("slides", ()), *slide_ids])
        _write(self._list, {"command": self.command, "started": time.time(), "slides": [*slides]})

    def end(self, result: Result) -> None:
        """Record how a slide ended."""
        record = self._errors / f"{result.slide_id}.txt"
        if result.status == "failed":
            write_text_whole(record, result.trace or f"{result.reason}\n")
        else:
            record.unlink(missing_ok=True)
        path = self._slides / f"{result.slide_id}.json"
        if result.status == "skipped" and _read(path).get("status") == "done":
            return  # the record of the run that did it says how long it took
        values = {key: value for key, value in asdict(result).items() if key not in ("trace", "fatal")}
        values["status"] = "done" if result.status == "skipped" else result.status
        _write(path, {**values, "finished": time.time(), "host": socket.gethostname(), "pid": os.getpid()})

    def failure(self, slide_id: str) -> str | None:
        """Return why a slide failed last time; None if it did not."""
        record = _read(self._slides / f"{slide_id}.json")
        return record.get("reason") if record.get("status") == "failed" else None

    def status(self) -> Status | None:
        """Return the progress of the command; None if it was never started here."""
        wanted = self._wanted()
        if not wanted:
            return None
        slides = [str(slide) for slide in wanted["slides"]]
        records = {slide: _read(self._slides / f"{slide}.json") for slide in slides}
        working = {slide: str(holder) for slide in slides if (holder := self._holder(slide))}
        done = [r for slide, r in records.items() if r.get("status") == "done" and slide not in working]
        failed = {
            s: str(r.get("reason")) for s, r in records.items() if r.get("status") == "failed" and s not in working
        }
        left = len(slides) - len(done) - len(failed)
        recent = [r for r in done if r["finished"] >= wanted["started"] and r["seconds"]]
        rate = to_go = None
        if recent:
            elapsed = (time.time() if working else max(r["finished"] for r in recent)) - wanted["started"]
            if elapsed >= max(r["seconds"] for r in recent):  # else the clock was set back since
                rate = sum(r["patches"] for r in recent) / elapsed
                to_go = left * elapsed / len(recent)
        return Status(
            command=self.command,
            slides=len(slides),
            done=len(done),
            failed=failed,
            working=working,
            left=left,
            patches=sum(r["patches"] for r in done),
            patches_per_second=rate,
            seconds_to_go=to_go,
        )

    def _wanted(self) -> dict[str, Any]:
        return _read(self._list)

    def _holder(self, slide_id: str) -> Holder | None:
        return holder_of(self.lock(slide_id))


def commands_of(folder: Path) -> list[str]:
    """Return the commands that were started in a work folder, in the order in which they build on each other."""
    found = {path.stem for path in (folder / "state").glob("*.json")}
    order = [name for name in ("patch", "features", "run") if name in found]
    return order + sorted(found.difference(order))


def _write(path: Path, value: dict[str, Any]) -> None:
    write_text_whole(path, json.dumps(value))


def _read(path: Path) -> dict[str, Any]:
    """Return an object that `_write` wrote; empty if there is no file."""
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise PathPluginsError(f"{path} is damaged, or no file of pathdata ({error}); delete it") from error
    return value
