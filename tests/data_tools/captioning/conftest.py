"""A real server on loopback that speaks the chat completions protocol, and patches to caption."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


class ChatServer(ThreadingHTTPServer):
    """Answers ``reply(number of the request, its body)``: a completion, (status, JSON or text[, headers]), or None."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.busy = self.busiest = 0
        self.lock = threading.Lock()
        self.reply: Callable[[int, dict[str, Any]], Any] = lambda number, body: None

    def handle_error(self, *_: object) -> None:
        """Clients that time out or are killed break the connection; what matters is what they say."""

    @staticmethod
    def asked(body: dict[str, Any]) -> tuple[bytes | None, str]:
        """Image and text of a request."""
        (message,) = body["messages"]
        assert message["role"] == "user"
        if isinstance(message["content"], str):
            return None, message["content"]
        image, text = message["content"]
        assert (image["type"], text["type"]) == ("image_url", "text")
        match = re.fullmatch(r"data:image/(jpeg|png);base64,([A-Za-z0-9+/=]+)", image["image_url"]["url"])
        return base64.b64decode(match[2], validate=True), text["text"]

    @staticmethod
    def said(body: dict[str, Any]) -> str:
        """What the server answers: a function of model, image and text."""
        image, text = ChatServer.asked(body)
        return "tissue " + hashlib.sha256((image or b"") + text.encode() + body["model"].encode()).hexdigest()[:12]

    @staticmethod
    def completion(text: str | None, *, finish: str = "stop", **message: Any) -> dict[str, Any]:
        choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
        usage = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "served-1",
            "choices": [choice],
            "usage": usage,
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.headers.append(dict(self.headers))
            self.server.times.append(time.monotonic())
            number = len(self.server.bodies)
            self.server.busy += 1
            self.server.busiest = max(self.server.busiest, self.server.busy)
        if self.path != "/v1/chat/completions":
            reply: Any = (404, {"detail": "Not Found"})
        else:
            reply = self.server.reply(number, body) or self.server.completion(self.server.said(body))
        with self.server.lock:
            self.server.busy -= 1
        status, content, headers = (*reply, {})[:3] if isinstance(reply, tuple) else (200, reply, {})
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Not into the output of the tests."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ChatServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries a hundredth as long."""
    monkeypatch.setattr("pathplugins.data_tools.captioning.client.FIRST_WAIT_S", 0.01)


@pytest.fixture
def patches(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with patches and a manifest: ``patches(name, count, **cells of every row)``."""

    def make(name: str, count: int, **cells: Any) -> Path:
        folder, rows = tmp_path / name, []
        for number in range(count):
            wsi_id = f"TCGA-AA-000{number % 2}-01Z-00-DX1.bf88ce1f-0601"
            image = f"{wsi_id}/{number * 672}_{number * 96}.jpg"
            (folder / wsi_id).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (24, 16), (200 - number, 5 * number % 250, 180)).save(folder / image, quality=90)
            place = {"image": image, "wsi_id": wsi_id, "x": number * 672, "y": number * 96}
            rows.append({**place, "size": 24, "size_level0": 672, "mpp": 0.25, "mpp_source": "slide", **cells})
        lines = [f"{json.dumps(row)}\n" for row in rows]
        (folder / "manifest.jsonl").write_text("".join(lines), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def selected(patches: Callable[..., Path]) -> Path:
    """Six patches of two slides, as ``pathgen select`` leaves them: no captions."""
    return patches("selected", 6)
