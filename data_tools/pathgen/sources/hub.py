"""Files of the Hugging Face hub, each compared with the sum that the hub records for it."""

from __future__ import annotations

import fnmatch
import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.hashing import fed
from pathplugins.published.pathgen import HubRepository

from ...optional import need

COPY = "copy the files from where they are: all steps take paths to them"


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A file of a repository."""

    name: str
    """Its path there."""
    size: int
    """Bytes."""
    sha256: str
    """Of its content, if it is a large file; else ``""``."""
    blob: str
    """Its git object, for small ones."""

    def sum_of(self, path: Path) -> str:
        """The sum of a file on disk, of the kind that the hub records for this one."""
        digest = hashlib.sha256() if self.sha256 else hashlib.sha1(usedforsecurity=False)
        if not self.sha256:
            digest.update(f"blob {path.stat().st_size}\0".encode())  # as git does
        return fed(digest, path).hexdigest()

    @property
    def wanted_sum(self) -> str:
        """What the hub records."""
        return self.sha256 or self.blob

    @property
    def kind_of_sum(self) -> str:
        """Its name."""
        return "sha256" if self.sha256 else "git blob sha1"


class Hub:
    """A hub, asked for one repository at the revision it has now."""

    def __init__(self, source: HubRepository, endpoint: str | None) -> None:
        """``endpoint`` is its address; None is ``HF_ENDPOINT``, or huggingface.co.

        Raises:
            PathPluginsError: it cannot be asked, or has no such repository.
        """
        self._hub = need("huggingface_hub", extra="pathgen")
        self._source, self._endpoint = source, endpoint
        if need("huggingface_hub.constants", extra="pathgen").HF_HUB_OFFLINE:
            raise PathPluginsError(f"{source.repository}: HF_HUB_OFFLINE is set, so that the hub is not asked; {COPY}")
        with _explained(self._hub, source.repository):
            api = self._hub.HfApi(endpoint=endpoint)
            info = api.repo_info(source.repository, repo_type=source.kind, files_metadata=True)
        self.revision: str = info.sha
        """The commit; files come from it, whatever is uploaded meanwhile."""
        self._every = [
            HubFile(name=entry.rfilename, size=entry.size or 0, sha256=_sha256(entry.lfs), blob=entry.blob_id or "")
            for entry in info.siblings
        ]

    def files(self, patterns: Sequence[str] = ()) -> list[HubFile]:
        """Those whose names fit a pattern, by default those of the source.

        Raises:
            PathPluginsError: there is none; names what is there.
        """
        patterns = patterns or self._source.patterns
        found = [file for file in self._every if any(fnmatch.fnmatch(file.name, pattern) for pattern in patterns)]
        if not found:
            names = ", ".join(file.name for file in self._every[:20]) or "no files"
            raise PathPluginsError(
                f"{self._source.repository}: no file fits {' '.join(patterns)}; it has {names}; choose with --files"
            )
        return found

    def fetch(self, file: HubFile, out: Path) -> Path:
        """Get a file, going on where it was cut off, and compare its sum; a wrong one is tried once more.

        Raises:
            PathPluginsError: it cannot be had, or is another than the hub says; it is deleted then.
        """
        path = out / file.name
        for _ in range(2):
            if not path.is_file() or path.stat().st_size != file.size:
                with _explained(self._hub, f"{self._source.repository}/{file.name}"):
                    self._hub.hf_hub_download(
                        self._source.repository,
                        file.name,
                        repo_type=self._source.kind,
                        revision=self.revision,
                        local_dir=out,
                        endpoint=self._endpoint,
                    )
            found = file.sum_of(path)
            if found == file.wanted_sum:
                return path
            path.unlink()  # what the hub's package takes for whole is not there now
        raise PathPluginsError(
            f"{path}: its {file.kind_of_sum} is {found}, the hub says {file.wanted_sum}; it came twice, and is deleted"
        )


@contextmanager
def _explained(hub: Any, what: str) -> Iterator[None]:
    """Make errors of the hub ours."""
    http = sys.modules.get("httpx")  # which newer versions of its package use
    of_http = (http.HTTPError,) if http else ()
    try:
        yield
    except (hub.errors.HfHubHTTPError, OSError, *of_http) as error:
        raise PathPluginsError(f"{what} cannot be had from the hub: {error}\nWithout a network, {COPY}") from error


def _sha256(lfs: Any) -> str:
    """Of what the hub says about a large file, an object or, in older versions, a dictionary."""
    if lfs is None:
        return ""
    return lfs["sha256"] if isinstance(lfs, dict) else lfs.sha256
