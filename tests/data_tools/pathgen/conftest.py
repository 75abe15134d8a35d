"""A GDC on loopback: its files API with filters and pages, its data with ranges, and the faults of networks."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass(kw_only=True)
class Gdc:
    """What it has, what it does, what it was asked."""

    url: str = ""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Id -> name and content."""
    controlled: set[str] = field(default_factory=set)
    faults: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Status and headers of the next answers, in place of right ones."""
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the next downloads break off."""
    spoilt: int = 0
    """Downloads that give other bytes."""
    ranges: bool = True
    parts_from_start: bool = False
    """Answer a range with all of it, as a part."""
    pause_s: float = 0
    """Between the kilobytes of a download."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """Of the questions."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Id and range of the downloads."""

    def add(self, number: int, name: str, content: bytes = b"") -> str:
        """Put a file there; returns its id."""
        file_id = f"00000000-0000-4000-8000-{number:012d}"
        self.files[file_id] = (name, content or f"slide {number} ".encode() * 1000)
        return file_id

    def md5(self, file_id: str) -> str:
        """The sum of a file."""
        return hashlib.md5(self.files[file_id][1]).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    gdc: Gdc
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.gdc.bodies.append(body)
        if self._fault():
            return
        assert self.path == "/files"
        assert body["format"] == "JSON"
        assert body["filters"]["op"] == "in"
        asked, values = body["filters"]["content"]["field"], body["filters"]["content"]["value"]
        every = [
            {
                "file_id": file_id,
                "file_name": name,
                "md5sum": self.gdc.md5(file_id),
                "file_size": len(content),
                "state": "released",
                "access": "controlled" if file_id in self.gdc.controlled else "open",
                "acl": ["open"],
            }
            for file_id, (name, content) in self.gdc.files.items()
        ]
        fitting = [hit for hit in every if hit[asked] in values]  # tells upper from lower case
        page = fitting[body["from"] :][: body["size"]]
        fields = body["fields"].split(",")
        hits = [{"id": hit["file_id"], **{name: hit[name] for name in fields}} for hit in page]
        data = {"hits": hits, "pagination": {"count": len(hits), "total": len(fitting), "from": body["from"]}}
        self._send(200, json.dumps({"data": data, "warnings": {}}).encode())

    def do_GET(self) -> None:
        file_id, asked = self.path.removeprefix("/data/"), self.headers.get("Range")
        self.gdc.asked.append((file_id, asked))
        if self._fault():
            return
        if file_id not in self.gdc.files:
            self._send(404, b'{"message": "no such file"}')
            return
        content = self.gdc.files[file_id][1]
        if self.gdc.spoilt:
            self.gdc.spoilt -= 1
            content = b"X" + content[1:]
        if asked is None or not self.gdc.ranges:
            self._send(200, content, slow=True)
            return
        start = 0 if self.gdc.parts_from_start else int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            self._send(416, b"", **{"Content-Range": f"bytes */{len(content)}"})
            return
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(206, content[start:], slow=True, **{"Content-Range": place})

    def _fault(self) -> bool:
        if not self.gdc.faults:
            return False
        status, headers = self.gdc.faults.pop(0)
        self._send(status, b"a fault", **headers)
        return True

    def _send(self, status: int, data: bytes, *, slow: bool = False, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        cut = self.gdc.cuts.pop(0) if slow and self.gdc.cuts else None
        for start in range(0, len(data[:cut]), 1024):
            self.wfile.write(data[:cut][start : start + 1024])
            if slow and self.gdc.pause_s:
                time.sleep(self.gdc.pause_s)
        if cut is not None:
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that were killed break connections."""


@pytest.fixture
def gdc(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gdc]:
    """The server, empty; our tools wait for it a hundredth of the usual time, and take kilobytes at once."""
    from pathplugins.data_tools.pathgen.sources import download
    from pathplugins.data_tools.pathgen.sources import gdc as of_gdc

    monkeypatch.setattr(of_gdc, "BACKOFF_S", 0.01)
    monkeypatch.setattr(download, "BACKOFF_S", 0.01)
    monkeypatch.setattr(download, "CHUNK", 1000)
    state = Gdc()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"gdc": state}))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
