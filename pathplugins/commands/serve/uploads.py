"""Uploads: files that clients sent, in a temporary folder of the server, the oldest removed for new ones."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pathplugins.commands.serve.refusals import TooLargeError
from pathplugins.commands.serve.roots import MissingFileError
from pathplugins.core.data_urls import DataURL
from pathplugins.core.errors import PathPluginsError

MAX_UPLOAD = 64 * 2**20
_KEPT = 16
_ODD = re.compile(r"[^\w.-]+")
_LONGEST = 100


class Upload(NamedTuple):
    """A file that a client sent."""

    id: str
    name: str
    """As the client called it, without what has no place in a file name."""
    path: Path
    nbytes: int
    created: int
    """Seconds since 1970."""


class Uploads:
    """Keeps what clients send until the server ends; several threads may call it.

    Args:
        most_bytes: of one file; 16 times as much is kept of all together.
    """

    def __init__(self, most_bytes: int = MAX_UPLOAD) -> None:
        self.most_bytes = most_bytes
        self._folder = tempfile.TemporaryDirectory(prefix="pathplugins-serve-")
        self._lock = threading.Lock()
        self._kept: dict[str, Upload] = {}

    def add(self, name: str, stream: BinaryIO) -> Upload:
        """Keep a file.

        Args:
            name: what the client calls it; the name of a slide counts when rows are drawn of its bag.
            stream: its bytes, from the beginning.

        Raises:
            PathPluginsError: it is empty, or too large.
        """
        upload_id = f"file-{uuid.uuid4().hex}"
        path = self._place(upload_id, name)
        try:
            with path.open("wb") as target:
                shutil.copyfileobj(stream, target)
        except OSError:
            shutil.rmtree(path.parent)
            raise
        return self._keep(upload_id, path)

    def add_data(self, url: str) -> Upload:
        """Keep the file that a data URL holds; the same bytes are kept once.

        Raises:
            PathPluginsError: it is no data URL, broken, or too large.
        """
        parsed = DataURL.parse(url)
        content = parsed.content()
        upload_id = f"data-{hashlib.sha256(content).hexdigest()[:32]}"
        with self._lock:
            if upload_id in self._kept:
                self._kept[upload_id] = self._kept.pop(upload_id)  # the last to be removed
                return self._kept[upload_id]
        path = self._place(f"{upload_id}-{uuid.uuid4().hex}", f"{upload_id}.{parsed.kind.rpartition('/')[2] or 'bin'}")
        path.write_bytes(content)
        return self._keep(upload_id, path)

    def get(self, upload_id: str) -> Upload:
        """Return an upload.

        Raises:
            MissingFileError: there is none of this id, or no longer.
        """
        with self._lock:
            if upload_id not in self._kept:
                raise MissingFileError(
                    f"{upload_id[:_LONGEST]}: no such upload; the oldest are removed for new ones, and all when the "
                    "server ends: upload the file again"
                )
            return self._kept[upload_id]

    def listing(self) -> list[Upload]:
        """Return what was uploaded by name, the oldest first."""
        with self._lock:
            return [upload for upload in self._kept.values() if upload.id.startswith("file-")]

    def remove(self, upload_id: str) -> None:
        """Delete an upload.

        Raises:
            MissingFileError: there is none of this id.
        """
        self.get(upload_id)
        with self._lock:
            self._forget(upload_id)

    def close(self) -> None:
        """Delete all of them, with their folder."""
        self._folder.cleanup()

    def _place(self, folder: str, name: str) -> Path:
        """Return a new path for a file of this name."""
        name = _ODD.sub("_", name.replace("\\", "/").rpartition("/")[2]).lstrip(".")[-_LONGEST:] or "file"
        path = Path(self._folder.name, folder, name)
        path.parent.mkdir()
        return path

    def _keep(self, upload_id: str, path: Path) -> Upload:
        """Take in what was written, and remove the oldest where all together are too large."""
        upload = Upload(upload_id, path.name, path, path.stat().st_size, int(time.time()))
        if not 0 < upload.nbytes <= self.most_bytes:
            shutil.rmtree(path.parent)
            if upload.nbytes:
                raise TooLargeError(too_large(self.most_bytes))
            raise PathPluginsError(f"{upload.name} is empty; send a whole file")
        with self._lock:
            if upload_id in self._kept:  # the same data came twice at once
                shutil.rmtree(path.parent)
                return self._kept[upload_id]
            self._kept[upload_id] = upload
            while sum(each.nbytes for each in self._kept.values()) > _KEPT * self.most_bytes:
                self._forget(next(iter(self._kept)))
        return upload

    def _forget(self, upload_id: str) -> None:
        upload: Any = self._kept.pop(upload_id, None)
        if upload is not None:
            shutil.rmtree(upload.path.parent, ignore_errors=True)


def too_large(most_bytes: int) -> str:
    """Return the message for a file above the limit."""
    return (
        f"larger than {most_bytes / 2**20:g} MiB, which is the most that this server takes (--max-upload); name a file "
        "below a root"
    )
