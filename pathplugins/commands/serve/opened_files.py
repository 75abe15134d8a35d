"""Opened files: bags and images that were asked about last, read and encoded, up to a limit of memory."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from pathplugins.commands.answering import open_file
from pathplugins.commands.loading import LoadedModel

if TYPE_CHECKING:
    from pathplugins.models.custom_llava.opened_image import OpenedImage


class OpenedFiles:
    """Keeps what was opened last; a file that was written anew is opened anew. For one thread.

    Args:
        model: what encodes the files.
        most_bytes: of the vision tokens kept; the file that is asked about is opened even if it alone holds more.
    """

    def __init__(self, model: LoadedModel, most_bytes: int) -> None:
        self._model, self._most = model, most_bytes
        self._kept: OrderedDict[tuple[Path, int, int], OpenedImage] = OrderedDict()
        self.nbytes = 0
        """What is kept now."""

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, path: Path) -> OpenedImage:
        """Return a file opened, by opening it where it is not.

        Raises:
            PathPluginsError: the model cannot read it.
            OSError: it is gone, or may not be read.
        """
        found = path.stat()
        key = (path, found.st_size, found.st_mtime_ns)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        opened = open_file(self._model, path)
        self._kept[key] = opened
        self.nbytes += opened.nbytes
        while self.nbytes > self._most and self._kept:
            self.nbytes -= self._kept.popitem(last=False)[1].nbytes
        return opened
