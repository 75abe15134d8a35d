"""Read the values of a JSON text one by one, with little more text in memory than one value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.rows import read_chunks

CHUNK = 2**18  #: bytes read at once; larger chunks and their values fall out of the processor's cache
LONGEST = 2**28  #: characters of a value; a longer one is an open quotation mark, not a sample

_TAIL = 16  # longer than any token that may be cut off ("-Infinity", two \uXXXX); an earlier fault is a real one
_AFTER_NUMBER = 3  # characters needed after a number to be sure that it has ended, as in 0e+5
_BLANK = " \n\r\t"
_STARTS = ("{", "[", '"')
_BLANKS = re.compile(r"[ \n\r\t]*")
_OBJECT_OF_OBJECTS = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{')
_scan = json.JSONDecoder().scan_once


class JsonText:
    """A cursor in the JSON text of a file."""

    def __init__(self, path: Path, *, wanted: str, chunk: int = CHUNK) -> None:
        """Open the file; ``wanted`` is its expected content, for messages, ``chunk`` the bytes read at once."""
        self._path, self._wanted, self._chunk = path, wanted, chunk
        self._chunks = read_chunks(path, wanted=wanted, size=chunk)
        self._text, self._at, self._ended = "", 0, False
        self._lines, self._column = 0, 0  # line ends before the text in memory, and characters after the last one
        self._more()

    def peek(self) -> str:
        """Move to the next character that is not blank and return it; ``""`` at the end."""
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
        """Move past the character that ``peek`` returned."""
        self._at += 1

    def value(self) -> Any:
        """Read the value at the cursor.

        Raises:
            PathPluginsError: there is no value; names the place in the file.
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
            except ValueError as error:  # a number of thousands of digits
                raise self.malformed(str(error), self._at) from error
            else:
                if self._ended or end + _AFTER_NUMBER <= len(self._text) or not isinstance(value, int | float):
                    self._at = end
                    return value
                fault, where = "", end
            cut = not fault or fault.startswith("Unterminated string") or where >= len(self._text) - _TAIL
            if self._ended or not cut or len(self._text) - self._at > LONGEST:
                raise self.malformed(fault, where)
            self._more()

    def short_value(self) -> tuple[bool, Any]:
        """Return whether the value at the cursor ends within the text in memory, and the value if it does."""
        try:
            value, end = _scan(self._text, self._at)
        except (StopIteration, ValueError, RecursionError):
            if self._ended:
                return True, self.value()  # raises and names the place
            return False, None
        self._at = end
        return True, value

    def items(self) -> Iterator[Any]:
        """Yield the values of the list at the cursor."""
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
        """Yield values as long as a comma and more text follow them, in half the time; leave the rest."""
        text, at = self._text, self._at
        with suppress(StopIteration, ValueError, RecursionError, IndexError):
            while True:
                if text[at] in _BLANK:
                    at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]
                value, end = _scan(text, at)
                if text[end] != ",":
                    return
                self._at = at = end + 1
                yield value

    def holds_objects(self) -> bool:
        """Return whether an object begins at the cursor whose first value is an object."""
        return _OBJECT_OF_OBJECTS.match(self._text, self._at) is not None

    def members(self) -> Iterator[tuple[str, Any]]:
        """Yield key and value of each member of the object at the cursor."""
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
        """Raise ``PathPluginsError`` if anything but blanks follows."""
        if self.peek():
            raise self.malformed("Extra data", self._at)

    def malformed(self, fault: str, at: int) -> PathPluginsError:
        """Return the error for a fault at index ``at`` of the text in memory."""
        line = self._lines + self._text.count("\n", 0, at) + 1
        before = self._text.rfind("\n", 0, at)
        column = at - before if before >= 0 else self._column + at + 1
        return PathPluginsError(f"{self._path}:{line} is not JSON ({fault}, column {column}); expected {self._wanted}")

    def _more(self) -> None:
        """Double the unread text, by at least one chunk, so that a long value is scanned only a few times."""
        text, at = self._text, self._at
        if ends := text.count("\n", 0, at):
            self._lines, self._column = self._lines + ends, at - text.rfind("\n", 0, at) - 1
        else:
            self._column += at
        chunks, size, wanted = [text[at:]], 0, max(self._chunk, len(text) - at)
        while size < wanted and not self._ended:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._ended = True
                break
            chunks.append(chunk)
            size += len(chunk)
        self._text, self._at = "".join(chunks), 0
