"""Read pickles of plain data without running any code in them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, BinaryIO

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path


def read_plain_pickle(path: Path) -> Any:
    """Read a pickle of lists, dicts, tuples, sets, text and numbers.

    Such data need no import; any name that a pickle would import could run code and is refused.

    Raises:
        PathPluginsError: no such file, not a pickle, damaged, or importing a name (which the message gives).
    """
    if not path.is_file():
        raise PathPluginsError(
            f"{path}: no such file; expected a pickle of plain lists and dicts there{near_path(path)}"
        )
    with path.open("rb") as stream:
        try:
            return _PlainUnpickler(stream, path).load()
        # A damaged pickle can fail in any step of the unpickler.
        except (
            *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError),
            *(AttributeError, OverflowError, MemoryError, RecursionError),
        ) as error:
            if isinstance(error, PathPluginsError):
                raise
            raise PathPluginsError(f"{path} is not a readable pickle ({error}); download the file again") from error


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, stream: BinaryIO, path: Path) -> None:
        super().__init__(stream, encoding="utf-8")  # decodes byte strings of Python 2
        self._path = path

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise PathPluginsError(
            f"{self._path} asks for {module_name}.{global_name}, which plain data does not need and which could run "
            "code; if you trust its source, load it there and save it as JSON"
        )
