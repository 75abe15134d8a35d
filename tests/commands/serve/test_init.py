"""A real server: everybody gets the own answer, bad requests get a reason, and it ends in good order."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import shutil
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from served_models import write_tiny_bag
from serving import Served, serving
from talking_models import TRIAL

from pathplugins.cli import main
from pathplugins.commands.ask import ask
from pathplugins.commands.loading import LoadedModel, load_model

for needed in ("fastapi", "prometheus_client", "uvicorn"):
    pytest.importorskip(needed)
httpx = pytest.importorskip("httpx")

TOKENS = 12
QUESTIONS = ("What is it?", "Does the slide show a lesion?", "Why?")


@pytest.fixture(scope="module")
def model(minded: Path) -> LoadedModel:
    return load_model(minded, device="cpu")


@pytest.fixture(scope="module")
def roots(bags: Path, slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``bags`` and ``slides``, and beside them what nobody may see."""
    root = tmp_path_factory.mktemp("roots")
    shutil.copytree(bags, root / "bags")
    (root / "slides").mkdir()
    shutil.copy(slide, root / "slides" / "case_1.svs")
    write_tiny_bag(root / "bags" / "wide.h5", 5, seed=1, width=10)
    (root / "bags" / "broken.h5").write_bytes((bags / "bag_1.h5").read_bytes()[:3000])
    Image.new("RGB", (9, 7)).save(root / "bags" / "picture.png")
    write_tiny_bag(root / "secret.h5", 5, seed=1)
    (root / "bags" / "link.h5").symlink_to(root / "secret.h5")
    return root


@pytest.fixture(scope="module")
def server(minded: Path, roots: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    places = ("--root", roots / "bags", "--root", roots / "slides")
    cache = str(tmp_path_factory.mktemp("cache"))
    more = ("--max-new-tokens", TOKENS, "--max-upload", 0.5, *TRIAL[:4])
    with serving(minded, *places, *more, PATHPLUGINS_CACHE=cache) as served:
        yield served


def body(file: str | None, question: str = QUESTIONS[0], **more: Any) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": question}]
    if file is not None:
        parts.append({"type": "image_url", "image_url": {"url": file}})
    return {"model": "hf_model", "messages": [{"role": "user", "content": parts}], **more}


def post(server: Served, sent: dict[str, Any], path: str = "/v1/chat/completions") -> Any:
    return httpx.post(server.url + path, json=sent, timeout=60)


def text_of(reply: Any) -> str:
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"][0]["message"]["content"]


def streamed(reply: Any) -> str:
    events = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert chunks[-1]["choices"][0]["finish_reason"] in ("stop", "length")
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


def test_two_hundred_at_once(server: Served, model: LoadedModel, bags: Path, roots: Path) -> None:
    """None lost, none crossed, none kept waiting, a fifth of them bad."""
    files = [f"bag_{number}.h5" for number in range(12)]
    wanted = {
        (file, question): ask(model, question, bag=bags / file, max_new_tokens=TOKENS)
        for file in files
        for question in QUESTIONS
    }
    assert len(set(wanted.values())) > 20
    bad = [
        (body("none.h5"), 404),
        (body("../secret.h5"), 403),
        (body(None), 400),
        (body("wide.h5"), 400),
        (body("broken.h5"), 400),
        (body("bag_1.h5", n=2), 400),
        (body("bag_1.h5", " "), 400),
        (body("bag_1.h5", "What " * 3000), 400),
    ]
    asked = [
        (body(files[number % 12], QUESTIONS[number % 3], stream=number % 4 == 0), None) for number in range(160)
    ] + 5 * bad
    order = np.random.default_rng(0).permutation(len(asked))

    async def all_of_them() -> list[tuple[Any, float]]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits) as client:

            async def one(sent: dict[str, Any]) -> tuple[Any, float]:
                began = time.monotonic()
                return await client.post("/v1/chat/completions", json=sent), time.monotonic() - began

            return await asyncio.gather(*(one(asked[number][0]) for number in order))

    got = asyncio.run(all_of_them())
    seconds = []
    for number, (reply, spent) in zip(order, got, strict=True):
        sent, status = asked[number]
        assert reply.status_code == (status or 200), (sent, reply.text)
        if status is None:
            question, image = sent["messages"][0]["content"]
            told = streamed(reply) if sent["stream"] else text_of(reply)
            assert told == wanted[image["image_url"]["url"], question["text"]]
            seconds.append(spent)
    assert max(seconds) < 3 * statistics.median(seconds)
    counted = httpx.get(f"{server.url}/metrics").text
    assert 'pathplugins_requests_total{outcome="answered"} 160.0' in counted
    assert 'pathplugins_requests_total{outcome="refused"} 40.0' in counted
    assert 'pathplugins_batch_size_bucket{le="8.0"}' in counted
    (batches,) = (float(line.split()[1]) for line in counted.splitlines() if "batch_size_count" in line)
    assert 20 <= batches < 40
    assert 'pathplugins_tokens_total{kind="answer"}' in counted


REFUSED = [
    ("/etc/hostname", 403, "reads files of its roots alone (bags, slides)"),
    ("../secret.h5", 403, "reads files of its roots alone"),
    ("bags/%2e%2e/secret.h5", 403, "reads files of its roots alone"),
    ("file:///etc/hostname", 403, "reads files of its roots alone"),
    ("link.h5", 403, "reads files of its roots alone"),
    ("bags/none.h5", 404, "bags/none.h5: no such file on this server"),
    ("http://127.0.0.1/x.png", 400, "fetches nothing from the web"),
    ("wide.h5", 400, "bags/wide.h5"),
    ("broken.h5", 400, "bags/broken.h5"),
    ("picture.png", 400, "bags/picture.png is an image; this model reads feature bags"),
    ("slides/../bags/bag_1.h5", 403, "reads files of its roots alone"),
    ("data:image/png;base64,!", 400, "holds no base64"),
    ("data:image/png,x", 400, "write data:image/png;base64"),
    ("data:image/png;base64," + base64.b64encode(b"x" * 600_000).decode(), 413, "larger than 0.5 MiB"),
    ("data:image/png;base64," + base64.b64encode(b"x").decode(), 400, "the data URL"),
]


@pytest.mark.parametrize(("file", "status", "said"), REFUSED, ids=[file[:30] for file, *_ in REFUSED])
def test_what_cannot_be_asked_about(server: Served, roots: Path, file: str, status: int, said: str) -> None:
    reply = post(server, body(file))
    error = reply.json()["error"]
    assert (reply.status_code, error["type"]) == (status, "invalid_request_error")
    assert said in error["message"]
    assert str(roots) not in reply.text
    assert "pathplugins-serve-" not in reply.text


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "said"),
    [
        ("POST", "/v1/chat/completions", b"no json", 400, "is no JSON"),
        ("POST", "/v1/chat/completions", b"[" * 100_000, 400, "is no JSON"),
        ("POST", "/v1/chat/completions", b"[]", 400, "no JSON object"),
        ("POST", "/v1/chat/completions", b"x" * 3_000_000, 413, "larger than 0.5 MiB"),
        ("POST", "/v1/chat/completions", b'{"model": "gpt-4"}', 404, "no model 'gpt-4'; it has 'hf_model'"),
        ("POST", "/v1/chat/completions", b'{"messages": "\\ud83d!"}', 400, "is no JSON in UTF-8"),
        ("POST", "/v1/chat/completions", '{"messages": []}'.encode("utf-16"), 400, "is no JSON in UTF-8"),
        ("POST", "/v1/chat/completions", b'{"messages": "\\ud83d\\ude00"}', 400, "messages is a list"),
        ("POST", "/v1/files", b"x", 400, "no file"),
        ("GET", "/v1/chat/completions", b"", 405, "Method Not Allowed"),
        ("GET", "/v1/files/file-1", b"", 404, "file-1: no such upload"),
        ("GET", "/v2", b"", 404, "Not Found"),
    ],
)
def test_requests_that_are_none(server: Served, method: str, path: str, sent: bytes, status: int, said: str) -> None:
    reply = httpx.request(method, server.url + path, content=sent, timeout=60)
    assert reply.status_code == status
    assert said in reply.json()["error"]["message"]


def test_a_broken_form_is_no_failure_of_the_server(server: Served) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=abc"}
    reply = httpx.post(f"{server.url}/v1/files", content=b"x", headers=headers)
    assert (reply.status_code, "no form that can be read" in reply.text) == (400, True)


def test_a_body_in_chunks_is_limited_too(server: Served) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x" * 100_000

    reply = httpx.post(f"{server.url}/v1/chat/completions", content=chunks(), timeout=60)
    assert reply.status_code == 413


def test_a_slide_becomes_a_bag_once(server: Served, model: LoadedModel, roots: Path) -> None:
    first = text_of(post(server, body("slides/case_1.svs")))
    assert sum("its patches are drawn in" in line for line in server.said) == 1
    assert text_of(post(server, body("case_1.svs"))) == first
    (picture,) = {line.split("drawn in ")[1].strip() for line in server.said if "drawn in" in line}
    bag = Path(picture).parent.parent / "bags" / "case_1.h5"
    assert first == ask(model, QUESTIONS[0], bag=bag, max_new_tokens=TOKENS)


def test_uploads(server: Served, model: LoadedModel, bags: Path, roots: Path) -> None:
    url = f"{server.url}/v1/files"
    content = (bags / "bag_5.h5").read_bytes()
    sent = {"file": ("../../bag_5.h5", io.BytesIO(content))}
    kept = httpx.post(url, files=sent, data={"purpose": "vision"}).json()
    assert (kept["bytes"], kept["filename"], kept["purpose"]) == (len(content), "bag_5.h5", "vision")
    wanted = ask(model, QUESTIONS[0], bag=bags / "bag_5.h5", max_new_tokens=TOKENS)
    parts = [{"type": "text", "text": QUESTIONS[0]}, {"type": "file", "file": {"file_id": kept["id"]}}]
    assert text_of(post(server, {"messages": [{"role": "user", "content": parts}]})) == wanted
    assert [each["id"] for each in httpx.get(url).json()["data"]] == [kept["id"]]
    assert httpx.get(f"{url}/{kept['id']}").json()["bytes"] == len(content)
    assert httpx.delete(f"{url}/{kept['id']}").json()["deleted"]
    gone = post(server, {"messages": [{"role": "user", "content": parts}]})
    assert (gone.status_code, "no such upload" in gone.text) == (404, True)
    large = httpx.post(url, files={"file": ("x.h5", io.BytesIO(b"x" * 600_000))})
    assert large.status_code == 413
    picture = httpx.post(url, files={"file": ("x.png", (roots / "bags" / "picture.png").read_bytes())}).json()
    parts[1]["file"]["file_id"] = picture["id"]
    wrong = post(server, {"messages": [{"role": "user", "content": parts}]})
    assert (wrong.status_code, wrong.json()["error"]["message"][:17]) == (400, "x.png is an image")


def test_the_client_of_openai(server: Served, model: LoadedModel, bags: Path) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none")
    assert [each.id for each in client.models.list()] == ["hf_model"]
    sent = body("bag_3.h5", max_completion_tokens=5)
    whole = client.chat.completions.create(**sent)
    wanted = ask(model, QUESTIONS[0], bag=bags / "bag_3.h5", max_new_tokens=5)
    assert whole.choices[0].message.content == wanted
    assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("length", 5)
    chunks = [*client.chat.completions.create(**sent, stream=True, stream_options={"include_usage": True})]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == wanted
    assert (chunks[-2].choices[0].finish_reason, chunks[-1].usage) == ("length", whole.usage)
    talk = [*sent["messages"], {"role": "assistant", "content": wanted}, {"role": "user", "content": "Sure?"}]
    again = client.chat.completions.create(model="hf_model", messages=talk)
    assert again.usage.prompt_tokens > whole.usage.prompt_tokens
    upload = client.files.create(file=bags / "bag_3.h5", purpose="user_data")
    parts = [{"type": "text", "text": QUESTIONS[0]}, {"type": "file", "file": {"file_id": upload.id}}]
    told = client.chat.completions.create(model="hf_model", messages=[{"role": "user", "content": parts}], max_tokens=5)
    assert told.choices[0].message.content == wanted
    with pytest.raises(openai.BadRequestError, match="tools is not supported"):
        client.chat.completions.create(**sent, tools=[{"type": "function", "function": {"name": "x"}}])
    with pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(**body("/etc/hostname"))


def test_draws_follow_from_their_seed(server: Served, model: LoadedModel, bags: Path) -> None:
    drawn = {"temperature": 20.0, "seed": 5, "max_tokens": 6}
    told = text_of(post(server, body("bag_1.h5", **drawn)))
    options = {"max_new_tokens": 6, "temperature": 20.0, "seed": 5}
    assert told == ask(model, QUESTIONS[0], bag=bags / "bag_1.h5", **options)
    narrow = text_of(post(server, body("bag_1.h5", **drawn, top_p=0.2)))
    assert narrow == ask(model, QUESTIONS[0], bag=bags / "bag_1.h5", **options, top_p=0.2)
    free = {text_of(post(server, body("bag_1.h5", temperature=20.0, max_tokens=6))) for _ in range(4)}
    assert len(free) > 1


def test_a_client_that_leaves_ends_its_question(server: Served) -> None:
    def counted(outcome: str) -> float:
        lines = httpx.get(f"{server.url}/metrics").text.splitlines()
        return sum(
            float(line.split()[1])
            for line in lines
            if line.startswith("pathplugins_requests_total") and outcome in line
        )

    for stream in (True, False):
        before = counted("left")
        long = body("bag_2.h5", max_tokens=1500, stream=stream)
        for seconds in (1.0, 0.5, 2.0, 4.0, 8.0):  # a busy machine may not have taken the question by then
            try:
                with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=long, timeout=seconds) as reply:
                    next(reply.iter_text())
            except httpx.ReadTimeout:
                pass
            until = time.monotonic() + 10
            while counted("left") == before and time.monotonic() < until:
                time.sleep(0.05)
            if counted("left") > before:
                break
        assert counted("left") == before + 1
        assert text_of(post(server, body("bag_2.h5")))


def test_a_key_and_an_end_in_good_order(minded: Path, bags: Path) -> None:
    with serving(minded, "--root", bags, "--host", "127.0.0.1", PATHPLUGINS_API_KEY="secret") as server:
        headers = {"Authorization": "Bearer secret"}
        for path in ("/v1/models", "/metrics", "/v1/files"):
            refused = httpx.get(server.url + path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
            assert httpx.get(server.url + path, headers={"Authorization": "Bearer wrong"}).status_code == 401
            assert httpx.get(server.url + path, headers=headers).status_code == 200
        assert httpx.get(f"{server.url}/health").json()["reads"] == "bags"
        half = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
        key = b"Authorization: Bearer secret"
        half.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" + key + b"\r\nContent-Length: 9\r\n\r\n{")
        url = f"{server.url}/v1/chat/completions"
        long = body("bag_2.h5", max_tokens=300, stream=True)
        with httpx.stream("POST", url, json=long, headers=headers, timeout=60) as reply:
            lines = reply.iter_lines()
            next(lines)
            server.process.send_signal(signal.SIGTERM)
            until = time.monotonic() + 10
            while (new := httpx.post(url, json=long, headers=headers)).status_code != 503 and time.monotonic() < until:
                pass
            assert (new.status_code, "takes no new requests" in new.text) == (503, True)
            assert httpx.get(f"{server.url}/health").status_code == 503
            events = [line for line in lines if line]
        assert events[-1] == "data: [DONE]"
        assert json.loads(events[-2].removeprefix("data: "))["choices"][0]["finish_reason"] == "length"
        assert server.process.wait(20) == 0
        half.close()
    assert not [line for line in server.said if "Traceback" in line]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--root", "{}/none"], r"--root .*none: no such folder"),
        (["--port", "99999"], "--port 99999: ports are 0"),
        (["--host", "none.invalid"], "--host none.invalid: "),
        (["--max-batch", "0"], "--max-batch is 0, expected above 0"),
        (["--max-new-tokens", "0"], "--max-new-tokens is 0"),
        (["--api-key", " "], "the API key is empty"),
        (["--api-key", "secret\n"], "blanks around it"),
        (["--host", "a..b"], "--host a..b: .*label empty"),
        (["--max-upload", "inf"], "--max-upload is inf"),
    ],
)
def test_what_cannot_be_served(
    words: list[str], said: str, minded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(minded), *(word.format(tmp_path) for word in words)]) == 2
    assert re.search(said, capsys.readouterr().err)
