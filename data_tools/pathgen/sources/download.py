"""Download the files of a GDC manifest, checked, in gdc-client's layout; interrupted downloads are resumed.

An incomplete file is ``<uuid>/<name>.partial``; only complete files get the final name.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathplugins.core.files import temporary_beside
from pathplugins.core.hashing import fed
from pathplugins.core.optional import need

from ...engine.locks import Held, holding
from ...slides.find import LOGS
from .gdc import BACKOFF_S, TIMEOUT_S, GdcFile, write_manifest

CHUNK = 2**16  #: bytes; at most this much is lost when a connection breaks
CUTS = 5  #: consecutive connections that may break without a single byte received
PARTIAL_CONTENT, NO_SUCH_RANGE = 206, 416

Told = Callable[[int], object]
"""Called with the number of bytes received."""


class DownloadError(Exception):
    """Why a file could not be downloaded."""


class _Mismatch(DownloadError):
    """The downloaded file does not match the manifest (size or md5)."""


class _Cut(Exception):
    """A connection broke off."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The paths of one file in the output folder."""

    folder: Path
    name: str

    @property
    def whole(self) -> Path:
        """Path of the complete file."""
        return self.folder / self.name

    @property
    def partial(self) -> Path:
        """Path of the incomplete file."""
        return self.folder / f"{self.name}.partial"

    @property
    def of_gdc_client(self) -> bool:
        """Whether gdc-client has begun the file: it allocates the full length and fills it in any order."""
        return (self.folder / LOGS / f"{self.name}.parcel").exists()


def place_of(out: Path, file: GdcFile) -> Place:
    """Return the paths of a file: ``<out>/<uuid>/<name>``."""
    return Place(folder=out / file.id, name=file.name)


def is_whole(place: Place, file: GdcFile, *, verify: bool) -> bool:
    """Return whether a file exists with the right size; ``verify`` compares its md5 as well."""
    path = place.whole
    if not path.is_file() or (file.size is not None and path.stat().st_size != file.size):
        return False
    return not (verify and file.md5) or md5_of(path).hexdigest() == file.md5


def md5_of(path: Path) -> Any:
    """Return the md5 hash object of a file's content."""
    return fed(_md5(), path)


@dataclass(kw_only=True)
class Http:
    """Downloads over HTTP, several at once."""

    session: Any
    api: str
    out: Path
    told: Told = field(default=lambda size: None)
    stopped: threading.Event = field(default_factory=threading.Event)
    """Set to end all downloads where they are."""

    def fetch_all(self, files: Sequence[GdcFile], workers: int) -> Iterator[tuple[GdcFile, str]]:
        """Yield each file when its download ends, with the error, or ``""``."""
        pool = ThreadPoolExecutor(workers)
        try:
            running = {pool.submit(self._fetch, file): file for file in files}
            for future in as_completed(running):
                yield running[future], future.result()
        finally:
            self.stopped.set()
            pool.shutdown(cancel_futures=True)

    def _fetch(self, file: GdcFile) -> str:
        place = place_of(self.out, file)
        try:
            with holding(place.folder / f".{file.name}.lock"):
                try:
                    self._fetch_checked(place, file)
                except _Mismatch:  # perhaps bytes left by an earlier run
                    self._fetch_checked(place, file)
        except (DownloadError, OSError) as error:
            return str(error)
        except Held as held:
            return f"another download has the file {held}; wait for it"
        return ""

    def _fetch_checked(self, place: Place, file: GdcFile) -> None:
        """Download a file, compare it with the manifest, and rename or delete it."""
        if place.of_gdc_client:
            place.partial.unlink(missing_ok=True)
        digest = self._fetch_bytes(place, file).hexdigest()
        size = place.partial.stat().st_size
        if file.size not in (None, size):
            place.partial.unlink()
            raise _Mismatch(f"{size} bytes came, the manifest says {file.size}; deleted")
        if file.md5 not in ("", digest):
            place.partial.unlink()
            raise _Mismatch(f"its md5 is {digest}, the manifest says {file.md5}; deleted")
        place.partial.replace(place.whole)

    def _fetch_bytes(self, place: Place, file: GdcFile) -> Any:
        """Fill the partial file, over several connections if necessary; return the hash of its content."""
        cuts, before = 0, -1
        while True:
            start = place.partial.stat().st_size if place.partial.exists() else 0
            if file.size is not None and start > file.size:
                os.truncate(place.partial, 0)
                start = 0
            if start and start == file.size:
                return md5_of(place.partial)
            cuts = cuts + 1 if start == before else 0
            before = start
            try:
                return self._one_connection(place, file, start)
            except _Cut as error:
                if cuts == CUTS:
                    raise DownloadError(str(error)) from error
            if self.stopped.wait(BACKOFF_S * 2**cuts):
                raise DownloadError("stopped")

    def _one_connection(self, place: Place, file: GdcFile, start: int) -> Any:
        """Request the bytes from ``start`` on and store them; a server may send the whole file instead."""
        requests = need("requests", extra="pathgen")
        url = f"{self.api.rstrip('/')}/data/{file.id}"
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        try:  # the session has already retried temporary errors
            response = self.session.get(url, headers=headers, stream=True, timeout=TIMEOUT_S)
            if response.status_code != NO_SUCH_RANGE:
                response.raise_for_status()
        except requests.RequestException as error:
            raise DownloadError(str(error)) from error
        with response:
            if response.status_code == NO_SUCH_RANGE:  # the partial file is not the beginning of this file
                os.truncate(place.partial, 0)
                raise _Cut(f"{url} has nothing from byte {start} on")
            resumed = response.status_code == PARTIAL_CONTENT and _first_byte(response) == start
            digest = md5_of(place.partial) if resumed else _md5()
            with place.partial.open("ab" if resumed else "wb") as stream:
                self._take(response, lambda data: (stream.write(data), digest.update(data)))
        return digest

    def _take(self, response: Any, put: Callable[[bytes], object]) -> None:
        """Pass the whole body of a response to ``put``, block by block."""
        requests = need("requests", extra="pathgen")
        came, length = 0, response.headers.get("Content-Length", "")
        try:
            for data in response.iter_content(CHUNK):
                if self.stopped.is_set():
                    raise DownloadError("stopped")
                put(data)
                came += len(data)
                self.told(len(data))
        except requests.RequestException as error:
            raise _Cut(str(error)) from error
        if length.isdecimal() and came < int(length):  # older urllib3 does not notice
            raise _Cut(f"{response.url} broke off after {came} of {length} bytes")


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _first_byte(response: Any) -> int:
    """Return the first byte of a partial response, from ``Content-Range: bytes 5-9/10``; -1 if it is not given."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    first = rest.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdecimal() else -1


def run_gdc_client(program: str, files: Sequence[GdcFile], out: Path, server: str | None, workers: int) -> int:
    """Run gdc-client for files, with its output on stderr; return its exit code."""
    with ExitStack() as stack:
        out.mkdir(parents=True, exist_ok=True)
        manifest = temporary_beside(out / "manifest.txt")
        stack.callback(manifest.unlink, missing_ok=True)
        write_manifest(manifest, files)
        command = [program, "download", "-m", str(manifest), "-d", str(out), "-n", str(workers)]
        command += [] if server is None else ["-s", server]
        return subprocess.run(command, check=False, stdout=sys.stderr.fileno()).returncode
