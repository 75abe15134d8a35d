"""LLaMA-Factory's ``api`` with a model of ours: bags and images in, answers or reasons out, and the server lives."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.host
QUESTION = "Which tissue dominates this slide?"


def data_url(size: tuple[int, int] = (40, 56)) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 90, 160)).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def about(*pieces: str) -> list[dict[str, Any]]:
    """One message of the user: URLs, and the question after them."""
    images = [{"type": "image_url", "image_url": {"url": piece}} for piece in pieces]
    return [{"role": "user", "content": [*images, {"type": "text", "text": QUESTION}]}]


@pytest.fixture(scope="module")
def ask(
    start: Callable[..., Any], stop: Callable[..., None], toy: Any, bag_model: Path, tmp_path_factory: Any
) -> Iterator[Callable[..., tuple[int, Any]]]:
    """Put messages to a server in a process of its own that may read the toy's bags; (status, body)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("api") / "log.txt"
    (toy.data / "bags" / "bags_beside").mkdir(exist_ok=True)
    env = {"API_PORT": str(port), "API_HOST": "127.0.0.1", "SAFE_MEDIA_PATH": str(toy.data / "bags")}
    config = Path(__file__).resolve().parents[2] / "llamafactory_configs" / "wsi_llava_infer.yaml"
    words = (f"model_name_or_path={bag_model}", "max_new_tokens=4")
    process = start("llamafactory-cli", "api", str(config), *words, log=log, env=env)

    def ask(messages: list[dict[str, Any]], **options: Any) -> tuple[int, Any]:
        body = json.dumps({"model": "m", "messages": messages, **options}).encode()
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read().decode()
                return answer.status, text if options.get("stream") else json.loads(text)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    deadline = time.monotonic() + 300
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        if process.poll() is not None or time.monotonic() > deadline:
            stop(process)
            pytest.fail(f"no server: {log.read_text()[-6000:]}")
        time.sleep(0.2)
    yield ask
    ended = process.poll()
    stop(process)
    assert ended is None, f"the server died: {log.read_text()[-6000:]}"
    assert "Traceback" not in log.read_text()


def text_of(answer: tuple[int, Any]) -> str:
    status, body = answer
    assert status == 200, body
    return body["choices"][0]["message"]["content"]


def test_a_bag_is_answered_as_from_python(ask: Callable[..., Any], toy: Any, bag_model: Path) -> None:
    from pathplugins.commands.ask import ask as ask_here
    from pathplugins.commands.loading import load_model

    bag = toy.data / "bags" / "few0.h5"
    known = ask_here(load_model(bag_model, device="cpu"), QUESTION, bag=bag, max_new_tokens=4)
    assert known
    assert text_of(ask(about(str(bag)))).strip() == known
    assert text_of(ask(about("few0.h5"))).strip() == known, "relative to SAFE_MEDIA_PATH"
    status, stream = ask(about("few0.h5"), stream=True)
    assert status == 200
    pieces = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    said = "".join(piece["choices"][0]["delta"].get("content") or "" for piece in pieces)
    assert said.strip() == known


@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_answered_is_a_400_with_the_reason(
    ask: Callable[..., Any], toy: Any, tmp_path: Path, stream: bool
) -> None:
    (toy.data / "bags" / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    (toy.data / "bags" / "away.h5").unlink(missing_ok=True)
    (tmp_path / "slide.h5").write_bytes((toy.data / "bags" / "few0.h5").read_bytes())
    (toy.data / "bags" / "away.h5").symlink_to(tmp_path / "slide.h5")
    (toy.data / "bags_beside.h5").write_bytes((toy.data / "bags" / "few0.h5").read_bytes())
    refused = {
        "no such file; give a bag": about("few00.h5"),
        "did you mean": about("few00.h5"),
        "broken.h5": about("broken.h5"),
        "not image/png": about(data_url()),
        "reads bags and was given none": [{"role": "user", "content": QUESTION}],
        "the messages have 2 <image> but 1 bags": [
            {"role": "user", "content": [*about("few0.h5")[0]["content"], {"type": "text", "text": "<image>"}]}
        ],
        "bags are read from files": about("https://example.org/slide.h5"),
    }
    outside = (
        tmp_path / "slide.h5",
        "/etc/passwd",
        "/etc/nobody",
        "../few.csv",
        toy.data / "bags_beside.h5",
        "away.h5",
    )
    outside = (*outside, "file:///etc/passwd", "a" * 5000, "x\0y", "%2e%2e/few.csv")
    for reason, messages in refused.items():
        status, body = ask(messages, stream=stream)
        assert (status, reason in body) == (400, True), (reason, body)
    for path in outside:
        status, body = ask(about(str(path)), stream=stream)
        assert status == 400, body
        assert "SAFE_MEDIA_PATH" in body or "no such file" in body
    assert ask(about("few0.h5"))[0] == 200, "the server lives"


def test_images_of_a_model_that_reads_images(picture_model: Path, toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi.testclient import TestClient
    from llamafactory.api.app import create_app
    from llamafactory.chat import ChatModel

    monkeypatch.setenv("SAFE_MEDIA_PATH", str(toy.data))
    keys = {"model_name_or_path": str(picture_model), "template": "patch_vqa_llama3", "max_new_tokens": 3}
    client = TestClient(create_app(ChatModel({**keys, "do_sample": False})), raise_server_exceptions=False)

    def ask(messages: list[dict[str, Any]]) -> tuple[int, str]:
        answer = client.post("/v1/chat/completions", json={"model": "m", "messages": messages})
        return answer.status_code, answer.text

    assert ask(about(data_url()))[0] == 200
    Image.new("RGB", (40, 56), (200, 90, 160)).save(toy.data / "patch.png")
    assert ask(about("patch.png"))[0] == 200
    for reason, messages in {
        "reads images and was given none": [{"role": "user", "content": QUESTION}],
        "few0.h5 is a feature bag": about("bags/few0.h5"),
        "cannot be read": about("data:image/png;base64,iVBORw0KGgo="),
        "write data:image/png;base64": about("data:image/png,abc"),
    }.items():
        status, body = ask(messages)
        assert (status, reason in body) == (400, True), (reason, body)
