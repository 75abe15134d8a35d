"""Download files from the Hugging Face hub and compare each with the checksum that the hub records."""

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
from pathplugins.core.optional import need
from pathplugins.published.pathgen import HubRepository

COPY = "copy the files from another machine: every step takes paths to them"


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A file of a repository."""

    name: str
    """Path in the repository."""
    size: int
    """Bytes."""
    sha256: str
    """sha256 of a large (LFS) file; ``""`` for small ones."""
    blob: str
    """git blob id, for small files."""

    def sum_of(self, path: Path) -> str:
        """Compute the checksum of a file on disk, of the kind that the hub records for this one."""
        digest = hashlib.sha256() if self.sha256 else hashlib.sha1(usedforsecurity=False)
        if not self.sha256:
            digest.update(f"blob {path.stat().st_size}\0".encode())  # as git does
        return fed(digest, path).hexdigest()

    @property
    def wanted_sum(self) -> str:
        """The checksum that the hub records."""
        return self.sha256 or self.blob

    @property
    def kind_of_sum(self) -> str:
        """Name of the checksum."""
        return "sha256" if self.sha256 else "git blob sha1"


class Hub:
    """One repository of a hub, at its current revision."""

    def __init__(self, source: HubRepository, endpoint: str | None) -> None:
        """Query a repository; ``endpoint`` None means ``HF_ENDPOINT``, or huggingface.co.

        Raises:
            PathPluginsError: the hub cannot be reached, or has no such repository.
        """
        self._hub = need("huggingface_hub", extra="pathgen")
        self._source, self._endpoint = source, endpoint
        if need("huggingface_hub.constants", extra="pathgen").HF_HUB_OFFLINE:
            raise PathPluginsError(f"{source.repository}: HF_HUB_OFFLINE is set; unset it, or {COPY}")
        with _explained(self._hub, source.repository):
            api = self._hub.HfApi(endpoint=endpoint)
            info = api.repo_info(source.repository, repo_type=source.kind, files_metadata=True)
        self.revision: str = info.sha
        """The commit from which all files are fetched, whatever is uploaded meanwhile."""
        self._every = [
            HubFile(name=entry.rfilename, size=entry.size or 0, sha256=_sha256(entry.lfs), blob=entry.blob_id or "")
            for entry in info.siblings
        ]

    def files(self, patterns: Sequence[str] = ()) -> list[HubFile]:
        """List the files that match a pattern, by default the patterns of the source.

        Raises:
            PathPluginsError: no file matches; the message lists the files.
        """
        patterns = patterns or self._source.patterns
        found = [file for file in self._every if any(fnmatch.fnmatch(file.name, pattern) for pattern in patterns)]
        if not found:
            names = ", ".join(file.name for file in self._every[:20]) or "no files"
            raise PathPluginsError(
                f"{self._source.repository}: no file matches {' '.join(patterns)}; it has {names}; choose with --files"
            )
        return found

    def fetch(self, file: HubFile, out: Path) -> Path:
        """Download a file, resuming an interrupted download, and compare its checksum; retry once if it is wrong.

        Raises:
            PathPluginsError: the download fails, or the checksum is wrong twice; the file is deleted then.
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
            path.unlink()  # removed, because huggingface_hub takes it for complete
        raise PathPluginsError(
            f"{path}: its {file.kind_of_sum} is {found}, the hub says {file.wanted_sum}; downloaded twice and deleted, "
            "run the command again later"
        )


@contextmanager
def _explained(hub: Any, name: str) -> Iterator[None]:
    """Turn errors of huggingface_hub about ``name`` into ``PathPluginsError``."""
    used = (sys.modules.get(name) for name in ("httpx", "httpx2"))  # the second from huggingface_hub 2 on
    of_http = tuple(module.HTTPError for module in used if module)
    try:
        yield
    except (hub.errors.HfHubHTTPError, OSError, *of_http) as error:
        raise PathPluginsError(f"{name} cannot be fetched from the hub: {error}\nWithout a network, {COPY}") from error


def _sha256(lfs: Any) -> str:
    """Return the sha256 of a large file's LFS entry: an object or, in older versions, a dictionary."""
    if lfs is None:
        return ""
    return lfs["sha256"] if isinstance(lfs, dict) else lfs.sha256
