"""Cache of answers in one SQLite file, kept also when the run is killed.

The key of an answer covers everything that shapes it: the bytes of the image, the model, the prompt and the sampling
options. The token limit is not among them: only whole answers are kept, and a higher limit would not change those.
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

from pathplugins.core.disks import refusal
from pathplugins.core.errors import PathPluginsError

from .replies import Answer

_WAIT_S = 60.0  # how long to wait while another run writes
_TABLES = ("answers", "results")  # answers of servers; answers in the batch results given to this run


def answer_key(*values: Any) -> str:
    """Return the key of an answer: a hash over all values, with bytes replaced by their digest."""
    plain = [hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value for value in values]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


class AnswerCache:
    """Answers by key, for any number of threads; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open ``path``; create it if it does not exist.

        Raises:
            PathPluginsError: the file is no cache, or cannot be used now.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._base = sqlite3.connect(path, timeout=_WAIT_S, check_same_thread=False)
        try:
            for table in _TABLES:
                self._base.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, text TEXT, model TEXT, refused TEXT)"
                )
        except sqlite3.OperationalError as error:  # a disk, or another process: no reason to delete what was paid for
            self._base.close()
            said = refusal(error, path.parent) or f"{path}: {error}; run the same command again"
            raise PathPluginsError(said) from error
        except sqlite3.DatabaseError as error:
            self._base.close()
            raise PathPluginsError(f"{path} is no cache of answers ({error}); delete it to ask anew") from error

    def get(self, key: str, *, table: str = "answers") -> Answer | None:
        """Return the answer stored under ``key``; None if there is none."""
        query = f"SELECT text, model, refused FROM {table} WHERE key = ?"
        with self._lock:
            row = self._base.execute(query, (key,)).fetchone()
        return Answer(*row) if row else None

    def put(self, key: str, answer: Answer) -> None:
        """Store an answer; it is on disk when this returns."""
        with self._lock, self._base:
            self._base.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", (key, *answer))

    def replace_results(self, results: Iterable[tuple[str, Answer]]) -> int:
        """Replace the table of batch results; return the number of answers."""
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
