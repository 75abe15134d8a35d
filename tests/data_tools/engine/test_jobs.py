"""A job ends in a result: done, failed, held by another process, or fatal for the run."""

import errno
from dataclasses import dataclass
from pathlib import Path

import pytest

from pathplugins.core.errors import MissingDependencyError, PathPluginsError
from pathplugins.data_tools.engine.jobs import Recipe, SlideJob, SlideWorker, Steps, Tell, died
from pathplugins.data_tools.engine.locks import holding
from pathplugins.data_tools.engine.outcome import Outcome
from pathplugins.data_tools.engine.state import StateFolder

JOB = SlideJob(slide_id="a", slide=Path("a.svs"))


@dataclass(frozen=True, kw_only=True)
class Counted(Recipe):
    """Counts the letters of a file name, or raises."""

    error: Exception | None = None
    modules: tuple[str, ...] = ()

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        return {"wsi": self.modules}

    def result_path(self, slide_id: str) -> Path:
        return self.work / "counts" / slide_id

    def open(self, device: str | None) -> Steps:
        def steps(job: SlideJob, tell: Tell) -> Outcome:
            tell(job.slide_id, 1, 2)
            if self.error:
                raise self.error
            return Outcome(slide_id=job.slide_id, status="done", patches=len(job.slide.name), notes=("fine",))

        return steps


def test_a_slide_that_is_done(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    result = SlideWorker(Counted(command="count", work=tmp_path)).do(JOB, lambda *message: told.append(message))
    assert (result.status, result.patches, result.notes, told) == ("done", 5, ("fine",), [("a", 1, 2)])
    assert (tmp_path / "state" / "count" / "a.json").is_file()
    assert not list((tmp_path / "locks").iterdir())


@pytest.mark.parametrize(
    ("error", "reason", "fatal"),
    [
        (PathPluginsError("a.svs: no tissue"), "a.svs: no tissue", False),
        (KeyError("x"), "KeyError: 'x'", False),
        (OSError(errno.ENOSPC, "No space left on device"), "{}/counts: the disk is full; make room there and", True),
        (OSError(errno.EROFS, "Read-only", "/a/b"), "/a: the file system is read-only; make it writable", True),
    ],
)
def test_an_error_is_the_failure_of_its_slide(tmp_path: Path, error: Exception, reason: str, fatal: bool) -> None:
    result = SlideWorker(Counted(command="count", work=tmp_path, error=error)).do(JOB, lambda *_: None)
    assert (result.status, result.fatal) == ("failed", fatal)
    assert result.reason.startswith(reason.format(tmp_path))
    assert result.trace.startswith("Traceback")
    assert (tmp_path / "errors" / "a.txt").read_text() == result.trace
    assert StateFolder(tmp_path, "count").failure("a") == result.reason


def test_a_slide_that_another_process_is_doing(tmp_path: Path) -> None:
    worker = SlideWorker(Counted(command="count", work=tmp_path))
    with holding(StateFolder(tmp_path, "count").lock("a")):
        result = worker.do(JOB, lambda *_: None)
    assert result.status == "held"
    assert result.reason.startswith("process ")
    assert not (tmp_path / "state" / "count").exists()


def test_a_missing_module_stops_the_worker_not_a_slide(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="no_such_module"):
        SlideWorker(Counted(command="count", work=tmp_path, modules=("json", "no_such_module")))


@pytest.mark.parametrize(
    ("exitcode", "reason"),
    [
        (-9, "its process was killed by signal 9; memory may have run out: try fewer --workers"),
        (-11, "its process was killed by signal 11; the slide file may be damaged"),
        (3, "its process ended with exit code 3; the slide file may be damaged"),
    ],
)
def test_a_process_that_died(exitcode: int, reason: str) -> None:
    assert died(JOB, exitcode).reason == reason
