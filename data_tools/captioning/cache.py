"""Cache: what was answered stays answered, also when the run is killed.

One SQLite file. An answer is filed under everything that shapes it: the bytes of the image, the model, the prompt and
the sampling options. The token limit is not among them: only whole answers are kept, and a higher limit would not
change those.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from pathplugins.core.errors import PathPluginsError

from .replies import Answer

_WAIT_S = 60.0  # for another run that writes at this moment
_TABLES = ("answers", "results")  # of servers, and of the batch files given to this run


def answer_key(*parts: Any) -> str:
    """Where an answer is filed; bytes count by their digest."""
    plain = [hashlib.sha256(part).hexdigest() if isinstance(part, bytes) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


class AnswerCache:
    """Answers by key, for any number of threads; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open ``path``, or make it.

        Raises:
            PathPluginsError: there is something else.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._base = sqlite3.connect(path, timeout=_WAIT_S, check_same_thread=False)
        try:
            for table in _TABLES:
                self._base.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, text TEXT, model TEXT, refused TEXT)"
                )
        except sqlite3.DatabaseError as error:
            self._base.close()
            raise PathPluginsError(f"{path} is no cache of answers ({error}); delete it to ask anew") from error

    def get(self, key: str, *, table: str = "answers") -> Answer | None:
        """The answer, None if there is none."""
        query = f"SELECT text, model, refused FROM {table} WHERE key = ?"
        with self._lock:
            row = self._base.execute(query, (key,)).fetchone()
        return Answer(*row) if row else None

    def put(self, key: str, answer: Answer) -> None:
        """File an answer; it is on disk when this returns."""
        with self._lock, self._base:
            self._base.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", (key, *answer))

    def replace_results(self, results: Iterable[tuple[str, Answer]]) -> int:
        """Let the table of batch results hold these and no others; returns how many."""
        with self._lock, self._base:
            self._base.execute("DELETE FROM results")
            rows = ((key, *answer) for key, answer in results)
            self._base.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", rows)
            return self._base.execute("SELECT COUNT(*) FROM results").fetchone()[0]

    def __enter__(self) -> AnswerCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()
