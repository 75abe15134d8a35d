"""Data URLs: a file within a text, ``data:image/png;base64,...``."""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

from pathplugins.core.errors import PathPluginsError

_HEAD = re.compile(r"data:([\w.+/-]*)(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)


class DataURL(NamedTuple):
    """A data URL, taken apart."""

    head: str
    """Up to the comma."""
    kind: str
    """The media type; empty where the URL names none."""
    encoded: str
    """What follows, base64."""

    @classmethod
    def parse(cls, url: str) -> DataURL:
        """Take a data URL apart; nothing is decoded yet.

        Raises:
            PathPluginsError: it is none, or not of base64.
        """
        head = _HEAD.match(url)
        if head is None:
            raise PathPluginsError(f"{url[:40]}...: cannot be read; write data:image/png;base64,...")
        return cls(head[0], head[1], url[head.end() :])

    def content(self) -> bytes:
        """Return the bytes of the file.

        Raises:
            PathPluginsError: they are no base64.
        """
        try:
            return base64.b64decode(self.encoded, validate=True)
        except ValueError as error:
            raise PathPluginsError(f"{self.head}... holds no base64 ({error}); send a whole file") from error
