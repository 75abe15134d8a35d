"""``pathdata pathgen fetch`` against a hub on loopback: what is published, with its sums (P2, P34)."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

COMMIT = "1234567890123456789012345678901234567890"
LARGE = "PathGen-1.6M.json"


@dataclass(kw_only=True)
class FakeHub:
    """Speaks as much of the hub's protocol as a download takes."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=lambda: {LARGE})
    spoilt: int = 0
    """Downloads that give other bytes."""
    got: list[str] = field(default_factory=list)
    """Paths that were asked for."""

    def sum_of(self, name: str) -> str:
        content = self.files[name]
        if name in self.large:
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.hub.got.append(f"{self.command} {path}")
        if path.removeprefix("/api/") in ("datasets/jamessyx/PathGen", "models/jamessyx/PathGen-CLIP-L"):
            siblings = [self._sibling(name) for name in self.hub.files]
            content = {"_id": "1", "id": path, "sha": COMMIT, "private": False, "tags": [], "siblings": siblings}
            self._send(200, json.dumps(content).encode(), body)
            return
        name = path.rpartition(f"/resolve/{COMMIT}/")[2]
        if name not in self.hub.files:
            self._send(404, b"", body, **{"X-Error-Code": "RepoNotFound"})
            return
        content = self.hub.files[name]
        headers = {"ETag": f'"{self.hub.sum_of(name)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if body and self.hub.spoilt:
            self.hub.spoilt -= 1
            content = b"X" + content[1:]
        self._send(200, content, body, **headers)

    def _sibling(self, name: str) -> dict[str, Any]:
        size = len(self.hub.files[name])
        entry = {"rfilename": name, "size": size, "blobId": "0" * 40}
        if name in self.hub.large:
            return {**entry, "lfs": {"sha256": self.hub.sum_of(name), "size": size, "pointerSize": 130}}
        return {**entry, "blobId": self.hub.sum_of(name)}

    def _send(self, status: int, content: bytes, body: bool, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    state = FakeHub(files={LARGE: b'[{"wsi_id": "a"}]' * 50, "other.json": b"[]", "README.md": b"read"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": state}))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def fetch(hub: FakeHub, tmp_path: Path, pathdata: Callable[..., tuple[int, str]]) -> Callable[..., tuple[int, str]]:
    def run(*options: object) -> tuple[int, str]:
        return pathdata("pathgen", "fetch", "--out", tmp_path / "raw", "--endpoint", hub.url, "--yes", *options)

    return run


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_json_files_come_and_their_sums_are_compared_and_printed(
    hub: FakeHub, fetch: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, said = fetch()
    assert code == 0, said
    assert files_in(tmp_path / "raw") == {name: hub.files[name] for name in (LARGE, "other.json")}
    assert f"{LARGE}: 850 bytes, sha256 {hub.sum_of(LARGE)} as the hub records" in said
    assert f"other.json: 2 bytes, git blob sha1 {hub.sum_of('other.json')}" in said
    assert "non-commercial research use" in said
    assert COMMIT in said
    hub.got.clear()
    assert fetch()[0] == 0
    assert [path for path in hub.got if "resolve" in path] == []  # they are there, and right


def test_a_damaged_file_is_had_again(hub: FakeHub, fetch: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    hub.spoilt = 1
    assert fetch("--files", LARGE)[0] == 0
    path = tmp_path / "raw" / LARGE
    path.write_bytes(b"Y" + hub.files[LARGE][1:])
    assert fetch("--files", LARGE)[0] == 0
    assert path.read_bytes() == hub.files[LARGE]


def test_a_wrong_sum_that_stays_names_both_and_leaves_nothing(
    hub: FakeHub, fetch: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    hub.spoilt = 2
    code, said = fetch()
    assert code == 1
    assert "1 of 2 files failed" in said
    spoilt = hashlib.sha256(b"X" + hub.files[LARGE][1:]).hexdigest()
    assert f"its sha256 is {spoilt}, the hub says {hub.sum_of(LARGE)}" in said
    assert files_in(tmp_path / "raw") == {"other.json": b"[]"}


def test_weights_have_terms_of_their_own(hub: FakeHub, fetch: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    hub.files = {"pathgen-clip-l.pt": b"weights", "README.md": b"read"}
    code, said = fetch("--what", "clip-l")
    assert code == 0, said
    assert "cc-by-nc-4.0 (model card); cc-by-2.0 (" in said
    assert files_in(tmp_path / "raw") == {"pathgen-clip-l.pt": b"weights"}


def test_a_pattern_that_fits_nothing_names_what_is_there(hub: FakeHub, fetch: Callable[..., tuple[int, str]]) -> None:
    code, said = fetch("--files", "*.zip")
    assert code == 2
    assert f"no file matches *.zip; it has {LARGE}, other.json, README.md; choose with --files" in said


def test_what_the_hub_does_not_have(hub: FakeHub, fetch: Callable[..., tuple[int, str]]) -> None:
    code, said = fetch("--what", "instruct")
    assert code == 2
    assert "jamessyx/PathInstruct cannot be fetched from the hub" in said
    assert "every step takes paths to them" in said


def test_no_hub_at_all(hub: FakeHub, fetch: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = fetch("--endpoint", "http://127.0.0.1:9")
    assert code == 2
    assert "jamessyx/PathGen cannot be fetched from the hub" in said
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    code, said = fetch()
    assert code == 2
    assert "HF_HUB_OFFLINE" in said
    assert hub.got == []


def test_nothing_is_asked_before_the_terms_are(
    hub: FakeHub, tmp_path: Path, pathdata: Callable[..., tuple[int, str]]
) -> None:
    code, said = pathdata("pathgen", "fetch", "--out", tmp_path / "raw", "--endpoint", hub.url)
    assert code == 2
    assert "pass --yes" in said
    assert hub.got == []
