"""JSON text read in pieces: one value after another, with little more of the text in memory than a value needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.rows import read_chunks

CHUNK = 2**18  #: bytes read at once; more of them with what they hold fall out of the processor's cache
LONGEST = 2**28  #: characters one value may have; what needs more is an open quotation mark, not a sample

_TAIL = 16  # the longest thing that is no text, "-Infinity" or two \uXXXX, fits; a fault before it is no cut
_GOES_ON = 3  # characters after a number that tell that it does not, as in 0e+5
_BLANK = " \n\r\t"
_STARTS = ("{", "[", '"')
_BLANKS = re.compile(r"[ \n\r\t]*")
_OBJECT_OF_OBJECTS = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{')
_scan = json.JSONDecoder().scan_once


class JsonText:
    """A cursor in the JSON text of a file."""

    def __init__(self, path: Path, *, wanted: str, chunk: int = CHUNK) -> None:
        """``wanted`` says what should be there, for messages; ``chunk`` is the number of bytes read at once."""
        self._path, self._wanted, self._chunk = path, wanted, chunk
        self._chunks = read_chunks(path, wanted=wanted, size=chunk)
        self._text, self._at, self._ended = "", 0, False
        self._lines, self._column = 0, 0  # line ends before the text in memory, characters since the last of them
        self._more()

    def peek(self) -> str:
        """The next character that is not blank, which becomes the place of the cursor; ``""`` at the end."""
        while True:
            text, at = self._text, self._at
            if at < len(text) and text[at] in _BLANK:
                at = self._at = _BLANKS.match(text, at).end()  # type: ignore[union-attr] - matches nothing as well
            if at < len(text):
                return text[at]
            if self._ended:
                return ""
            self._more()

    def skip(self) -> None:
        """Pass the character that ``peek`` gave."""
        self._at += 1

    def value(self) -> Any:
        """The value that stands here.

        Raises:
            PathPluginsError: there is none, with the place in the file.
        """
        if self._text[self._at : self._at + 1] not in _STARTS:
            self.peek()
        while True:
            try:
                value, end = _scan(self._text, self._at)
            except StopIteration as stop:
                fault, where = "Expecting value", stop.value
            except json.JSONDecodeError as error:
                fault, where = error.msg, error.pos
            except RecursionError as error:
                raise PathPluginsError(
                    f"{self._path} is nested too deeply to be samples; expected {self._wanted}"
                ) from error
            else:
                if self._ended or end + _GOES_ON <= len(self._text) or not isinstance(value, int | float):
                    self._at = end
                    return value
                fault, where = "", end
            cut = not fault or fault.startswith("Unterminated string") or where >= len(self._text) - _TAIL
            if self._ended or not cut or len(self._text) - self._at > LONGEST:
                raise self.malformed(fault, where)
            self._more()

    def short_value(self) -> tuple[bool, Any]:
        """Whether the value that stands here ends within the first chunk, and the value if it does."""
        try:
            value, end = _scan(self._text, self._at)
        except (StopIteration, json.JSONDecodeError, RecursionError):
            if self._ended:
                return True, self.value()  # raises, with the place
            return False, None
        self._at = end
        return True, value

    def items(self) -> Iterator[Any]:
        """The values of the list that begins here, up to its end."""
        self.skip()
        if self.peek() == "]":
            self.skip()
            return
        while True:
            yield from self._items_in_memory()
            value = self.value()
            mark = self.peek()
            self._at += 1
            if mark != "," and mark != "]":
                raise self.malformed("Expecting ',' delimiter", self._at - 1)
            yield value
            if mark == "]":
                return

    def _items_in_memory(self) -> Iterator[Any]:
        """The same in half the time, as long as a comma and more of the text follow; what else there is stays."""
        text, at = self._text, self._at
        with suppress(StopIteration, json.JSONDecodeError, RecursionError, IndexError):
            while True:
                if text[at] in _BLANK:
                    at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]
                value, end = _scan(text, at)
                if text[end] != ",":
                    return
                self._at = at = end + 1
                yield value

    def holds_objects(self) -> bool:
        """Whether an object begins here whose first value is an object."""
        return _OBJECT_OF_OBJECTS.match(self._text, self._at) is not None

    def members(self) -> Iterator[tuple[str, Any]]:
        """Key and value of each member of the object that begins here, up to its end."""
        self.skip()
        while True:
            if self.peek() != '"':
                raise self.malformed("Expecting property name enclosed in double quotes", self._at)
            key = self.value()
            if self.peek() != ":":
                raise self.malformed("Expecting ':' delimiter", self._at)
            self.skip()
            yield key, self.value()
            mark = self.peek()
            self._at += 1
            if mark == "}":
                return
            if mark != ",":
                raise self.malformed("Expecting ',' delimiter", self._at - 1)

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self.peek():
            raise self.malformed("Extra data", self._at)

    def malformed(self, fault: str, at: int) -> PathPluginsError:
        """The error for a fault at a place in the text in memory."""
        line = self._lines + self._text.count("\n", 0, at) + 1
        before = self._text.rfind("\n", 0, at)
        column = at - before if before >= 0 else self._column + at + 1
        return PathPluginsError(f"{self._path}:{line} is not JSON ({fault}, column {column}); expected {self._wanted}")

    def _more(self) -> None:
        """Read as much again as is left, one chunk at least, so that a long value is scanned a few times only."""
        text, at = self._text, self._at
        if ends := text.count("\n", 0, at):
            self._lines, self._column = self._lines + ends, at - text.rfind("\n", 0, at) - 1
        else:
            self._column += at
        parts, size, wanted = [text[at:]], 0, max(self._chunk, len(text) - at)
        while size < wanted and not self._ended:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._ended = True
                break
            parts.append(chunk)
            size += len(chunk)
        self._text, self._at = "".join(parts), 0
