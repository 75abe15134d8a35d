"""Engine: one thread owns the model and answers what waits, as many questions at once as may be."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pathplugins.commands.answering import check_length
from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.sampling import Sampling
from pathplugins.commands.serve.batch import Answer, Question, Row, answer_rows, end_tokens
from pathplugins.commands.serve.opened_files import OpenedFiles
from pathplugins.commands.serve.turns import prompt_of
from pathplugins.core.errors import PathPluginsError

if TYPE_CHECKING:
    from pathplugins.models.custom_llava.opened_image import OpenedImage

MAX_BATCH = 8
MAX_WAITING = 1000
OPENED_BYTES = 2**30
_GATHERING_S = 0.004
_FAILURES = (ValueError, RuntimeError, LookupError)
"""What a model raises for inputs that it cannot take, and PyTorch where memory is full."""

T = TypeVar("T")


class BusyError(PathPluginsError):
    """More questions wait than the server takes."""


class Engine:
    """Answers questions about bags and images, in the order in which they come.

    Questions whose tokens are the likeliest share a ``generate``, up to ``max_batch`` of them; one whose tokens are
    drawn has its own, so that its answer follows from its seed alone.

    Args:
        model: of `load_model`; from now on only this engine's thread may run it.
        max_batch: questions at once.
        max_waiting: questions that may wait.
        opened_bytes: of the vision tokens that are kept of files asked about before.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        opened_bytes: int = OPENED_BYTES,
    ) -> None:
        self.model, self.opened = model, OpenedFiles(model, opened_bytes)
        self.on_batch: Callable[[int], None] = lambda size: None
        """Called with the size of every batch."""
        self._max_batch, self._max_waiting = max_batch, max_waiting
        self._ends = end_tokens(model.model)
        self._waiting: deque[Question] = deque()
        self._changed = threading.Condition()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")

    @property
    def waiting(self) -> int:
        """Questions that no batch has taken yet."""
        return len(self._waiting)

    def ask(
        self,
        path: Path,
        messages: Sequence[Mapping[str, str]],
        sampling: Sampling,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Answer the last message of a conversation about a bag or image; waits for the answer.

        Args:
            path: the bag or image.
            messages: ``role`` (``system`` first if at all, then ``user`` and ``assistant`` in turn) and ``content``.
            sampling: length of the answer, and how its tokens are chosen.
            on_text: called on the engine's thread with each piece of the answer.

        Raises:
            PathPluginsError: the model cannot read the file, or the conversation.
            BusyError: too many questions wait.
        """
        return self.submit(path, messages, sampling, on_text).answer.result()

    def submit(
        self,
        path: Path,
        messages: Sequence[Mapping[str, str]],
        sampling: Sampling,
        on_text: Callable[[str], None] | None = None,
    ) -> Question:
        """Put a question into the queue, see `ask`; its ``answer`` comes when it comes."""
        prompt = prompt_of(self.model.processor.tokenizer, messages)
        question = Question(path=path, prompt=prompt, sampling=sampling, on_text=on_text)
        with self._changed:
            if len(self._waiting) >= self._max_waiting:
                raise BusyError(f"{self._max_waiting} questions wait already; ask again in a while")
            self._waiting.append(question)
            self._changed.notify()
        self._thread.submit(self._answer_some)
        return question

    def open(self, path: Path) -> OpenedImage:
        """Return a bag or image read and encoded; what was opened lately is not done again.

        Raises:
            PathPluginsError: the model cannot read it.
        """
        return self.do(lambda _: self.opened.get(path))

    def do(self, work: Callable[[LoadedModel], T]) -> T:
        """Return what ``work`` returns, called with the model on the engine's thread between two batches."""
        return self._thread.submit(work, self.model).result()

    def close(self) -> None:
        """Answer what waits, and end the thread."""
        self._thread.shutdown(wait=True)

    def _answer_some(self) -> None:
        """Answer a batch; for each question that was put into the queue this is called once, often for nothing."""
        questions = self._gathered()
        try:
            if rows := [row for question in questions if (row := self._row(question)) is not None]:
                self._answer(rows)
        except BaseException as error:
            for question in questions:
                if not question.answer.done():
                    question.answer.set_exception(error)
            raise

    def _answer(self, rows: Sequence[Row]) -> None:
        """Answer rows at once; where that fails, each by itself, so that the one that is the cause fails alone."""
        self.on_batch(len(rows))
        try:
            answer_rows(self.model, rows)
        except _FAILURES as error:
            for row in rows:
                if row.done:
                    continue
                if len(rows) > 1 and not row.began:
                    self._answer([row])
                else:
                    row.fail(error)

    def _gathered(self) -> list[Question]:
        """Take the question that waits longest, and others that can be answered with it; none where none waits.

        Questions often come together, as the answers before them did: it waits a moment for more.
        """
        until = time.monotonic() + _GATHERING_S
        with self._changed:
            if not self._waiting:
                return []
            if self._waiting[0].sampling.temperature:
                return [self._waiting.popleft()]
            while len(self._alike()) < self._max_batch and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            taken = self._alike()[: self._max_batch]
            for question in taken:
                self._waiting.remove(question)
            return taken

    def _alike(self) -> list[Question]:
        return [question for question in self._waiting if not question.sampling.temperature]

    def _row(self, question: Question) -> Row | None:
        """Return a question with its file opened; one that cannot be answered is told so, and is None."""
        if question.dropped:
            question.answer.cancel()
        if not question.answer.set_running_or_notify_cancel():
            return None
        tokenizer: Any = self.model.processor.tokenizer
        try:
            row = Row(question, self.opened.get(question.path), tokenizer, self._ends)
            length = row.prompt_tokens + question.sampling.max_new_tokens
            check_length(self.model, length, hint="leave out turns, or ask for a smaller max_tokens")
        except (PathPluginsError, OSError, *_FAILURES) as error:
            question.answer.set_exception(error)
            return None
        return row
