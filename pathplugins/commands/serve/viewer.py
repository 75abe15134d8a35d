"""Viewer: OpenSeadragon, which shows slides in a browser; fetched once, checked by its hash, kept beside our page."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_bytes_whole

NAME, VERSION = "openseadragon", "6.1.1"
SHA512 = "g4iKe2q8B642SaBT3+x4ZF3/8b1TxPPydyjmtrOLgDrlYWMKd9ZXM+1Cb/xa9DVySkvs/7l6HR1nHKfD5F3Tsw=="
"""Of the archive, as npm states it (https://registry.npmjs.org/openseadragon/6.1.1, ``dist.integrity``)."""
REGISTRY = "https://registry.npmjs.org/"
FOLDER = Path(__file__).parent / "page" / NAME
"""Where the page finds it; a wheel that is built while it is there carries it."""
SCRIPT = "openseadragon.min.js"
FILES = {f"package/build/openseadragon/{SCRIPT}": SCRIPT, "package/LICENSE.txt": "LICENSE.txt"}
"""File in the archive -> file in ``FOLDER``; BSD-3-Clause, whose text goes along."""
HOW = "pathplugins get-viewer"
MOST_BYTES = 64 * 2**20  #: an archive larger than this is another file
TIMEOUT_S = 60


def has_viewer(folder: Path = FOLDER) -> bool:
    """Return whether the viewer is there."""
    return all((folder / name).is_file() for name in FILES.values())


def get_viewer(source: str | None = None, folder: Path = FOLDER) -> Path:
    """Fetch the viewer, check it, and put it beside the page.

    Args:
        source: the archive of npm, a file or an address; None asks npm where there is one, with all its settings, else
            the registry of ``NPM_CONFIG_REGISTRY`` or npm's public one.
        folder: where to put it.

    Returns:
        The folder.

    Raises:
        PathPluginsError: it cannot be had or written, or it is another file than the one that was tested.
    """
    archive, whence = _archive(source)
    digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if digest != SHA512:
        raise PathPluginsError(
            f"{whence}: its SHA-512 is {digest[:16]}..., that of {NAME} {VERSION} is {SHA512[:16]}...; nothing was "
            f"installed. Give the archive of npm: {HOW} --from {NAME}-{VERSION}.tgz"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            for member, name in FILES.items():
                write_bytes_whole(folder / name, packed.extractfile(member).read())  # type: ignore[union-attr]
    except PermissionError as error:
        raise PathPluginsError(
            f"{folder} cannot be written to ({error.strerror}); run {HOW} as the user who installed pathplugins"
        ) from error
    return folder


def _archive(source: str | None) -> tuple[bytes, str]:
    """Return the archive, not checked yet, and where it is from."""
    if source is not None and not source.startswith(("http://", "https://")):
        path = Path(source)
        if not path.is_file():
            raise PathPluginsError(f"--from {source}: no such file; give {NAME}-{VERSION}.tgz of npm, or its address")
        return path.read_bytes(), source
    npm = shutil.which("npm")
    if source is None and npm is not None:
        return _packed(npm), f"npm pack {NAME}@{VERSION}"
    registry = os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY
    address = source or f"{registry.rstrip('/')}/{NAME}/-/{NAME}-{VERSION}.tgz"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as reply:
            return reply.read(MOST_BYTES), address
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        raise PathPluginsError(_refusal(address, str(error))) from error


def _packed(npm: str) -> bytes:
    """Return the archive as npm fetches it, from the registry and through the proxies that it is set up for."""
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--loglevel=error", "--fetch-retries=1", "--ignore-scripts", f"{NAME}@{VERSION}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        found = sorted(Path(folder).glob("*.tgz"))
        if done.returncode or not found:
            raise PathPluginsError(_refusal("npm", _reason(done.stderr) or f"npm pack ended with {done.returncode}"))
        return found[0].read_bytes()


def _reason(said: str) -> str | None:
    """Return the sentence in what npm says of an error, between its codes and its stack."""
    lines = [line.removeprefix("npm error").removeprefix("npm ERR!").strip() for line in said.splitlines()]
    return next((line for line in lines if line and line.split()[0] not in ("code", "syscall", "errno")), None)


def _refusal(whence: str, reason: str) -> str:
    return (
        f"{NAME} {VERSION} cannot be fetched from {whence} ({reason}); without a network, copy the archive from a "
        f"machine that has one (npm pack {NAME}@{VERSION}) and run {HOW} --from {NAME}-{VERSION}.tgz"
    )
