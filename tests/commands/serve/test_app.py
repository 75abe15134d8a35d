"""The application inside another program, asked about images by a model that reads them."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pathplugins.commands.ask import ask
from pathplugins.commands.loading import load_model
from pathplugins.commands.serve.engine import Engine
from pathplugins.commands.serve.roots import Roots
from pathplugins.commands.serve.state import Requests, ServerState
from pathplugins.encoders.slide_options import SlideOptions

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
httpx = pytest.importorskip("httpx")
LLAMA = (
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>{{ m['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>{% endif %}"
)


def body(file: str) -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": file}}, {"type": "text", "text": "What?"}]
    return {"messages": [{"role": "user", "content": parts}], "max_tokens": 4}


def test_a_model_of_images(
    make_vlm: Callable[..., Path],
    make_llm: Callable[..., Path],
    pallava: dict[str, Any],
    picture: Callable[..., Image.Image],
    write_h5: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pathplugins.commands.serve.app import app

    model = load_model(make_vlm(make_llm(tied=False), **pallava), device="cpu")
    model.processor.tokenizer.chat_template = LLAMA
    image = picture(37, 44)
    image.save(tmp_path / "a.png")
    (tmp_path / "bag.h5").write_bytes(write_h5("served", 9).read_bytes())
    stream = io.BytesIO()
    image.save(stream, "PNG")
    data = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
    state = ServerState(model=model, roots=Roots([tmp_path]), slides=SlideOptions(), engine=Engine(model))
    made = app(state)

    async def all_of_it() -> list[Any]:
        transport = httpx.ASGITransport(app=made, raise_app_exceptions=False)
        async with (
            made.router.lifespan_context(made),
            httpx.AsyncClient(transport=transport, base_url="http://server", timeout=60) as client,
        ):
            replies = [
                await client.post("/v1/chat/completions", json=body(file))
                for file in ("a.png", data, "bag.h5", "data:image/png;base64,AAAA")
            ]
            replies.append(
                await client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "?"}]})
            )
            monkeypatch.setattr(model.model, "generate", None)
            replies.append(await client.post("/v1/chat/completions", json=body("a.png")))
            return replies

    named, sent, bag, broken, none, failed = asyncio.run(all_of_it())
    monkeypatch.undo()
    wanted = ask(model, "What?", image=tmp_path / "a.png", max_new_tokens=4)
    assert [each.json()["choices"][0]["message"]["content"] for each in (named, sent)] == [wanted, wanted]
    for reply, said in (
        (bag, f"{tmp_path.name}/bag.h5 is a feature bag; this model reads images"),
        (broken, "the data URL"),
        (none, "or data:image/png;base64"),
    ):
        assert (reply.status_code, said in reply.json()["error"]["message"]) == (400, True), reply.text
    error = failed.json()["error"]
    assert (failed.status_code, error["type"], error["code"]) == (500, "server_error", "internal_error")
    assert "NoneType" not in failed.text


def test_closing_waits_for_those_that_run() -> None:
    requests, ended = Requests(), []
    requests.begin()
    waits = threading.Thread(target=lambda: (requests.close(), ended.append(True)))
    waits.start()
    waits.join(0.1)
    assert (requests.closing, ended) == (True, [])
    requests.end()
    waits.join(10)
    assert ended == [True]
