"""Server state: what all requests of one server share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.sampling import MAX_NEW_TOKENS
from pathplugins.commands.serve.engine import Engine
from pathplugins.commands.serve.roots import Roots
from pathplugins.commands.serve.uploads import MAX_UPLOAD
from pathplugins.encoders.slide_options import SlideOptions


class Requests:
    """Counts the requests that are being answered; once closed, waits for the last of them."""

    def __init__(self) -> None:
        self.closing = False
        """Whether new requests are refused."""
        self._count, self._changed = 0, threading.Condition()

    def begin(self) -> None:
        """Count a request more."""
        with self._changed:
            self._count += 1

    def end(self) -> None:
        """Count a request less."""
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Refuse new requests from now on, and wait until those before are answered."""
        self.closing = True
        with self._changed:
            self._changed.wait_for(lambda: self._count == 0)


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """One model, the files it may be asked about, and the thread that answers."""

    model: LoadedModel
    """What is asked; only the engine's thread may run it (`Engine.do`)."""
    roots: Roots
    """Where files may be named."""
    slides: SlideOptions
    """How a slide becomes a bag."""
    engine: Engine
    """Answers questions, in batches, on a thread of its own."""
    api_key: str | None = None
    """What clients send to be heard; None hears all."""
    max_upload: int = MAX_UPLOAD
    """Bytes of a file that a client sends, at most."""
    max_new_tokens: int = MAX_NEW_TOKENS
    """Length of an answer whose request says none."""
    requests: Requests = field(default_factory=Requests)
    """Those that are being answered."""

    @property
    def name(self) -> str:
        """What the model is called: the name of its directory, or its hub id."""
        given = self.model.name
        return Path(given).resolve().name if Path(given).is_dir() else given
