"""A judge behind a real server: what is sent, what is kept, what is counted, and how a run goes on."""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, serving

from pathplugins.commands.judging import JUDGEMENTS, JudgeOptions, add_arguments, judged
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.scoring.rubric import judge_prompt, rubric

pytest.importorskip("requests")

ORGANS = ("lung", "breast", "colon", "skin", "kidney")


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("pathplugins.data_tools.captioning.client.FIRST_WAIT_S", 0.01)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving() as server:
        yield server


def line(number: int, prediction: str, answer: str = "") -> dict[str, Any]:
    organ = ORGANS[number % len(ORGANS)]
    told = {"id": f"patient-{number}", "source": "secret.jsonl", "row": number, "images": ["names/patient.png"]}
    words = {"question": f"Which {organ}?", "answer": answer or f"A {organ} of number {number}"}
    return {**told, **words, "prediction": prediction}


def options(server: ChatServer, **more: Any) -> JudgeOptions:
    return JudgeOptions(**{"url": server.url, "model": "wise", "key_env": None, "body": {}, **more})


def says(*replies: Any) -> Any:
    """These replies to texts that hold ``case N``."""

    def reply(_: int, body: dict[str, Any]) -> Any:
        text = ChatServer.asked(body)[1]
        number = int(text.rpartition("case ")[2].partition("\n")[0])
        said = replies[number]
        return ChatServer.completion(said) if isinstance(said, str) else said

    return reply


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (out / JUDGEMENTS).read_text(encoding="utf-8").splitlines()]


def test_what_is_sent_kept_and_counted(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A second run, of the same or of another folder, asks nothing; another judge is asked everything."""
    caplog.set_level(logging.INFO, logger="pathplugins")
    monkeypatch.setenv("JUDGE_KEY", "sk-judge")
    refusal = ChatServer.completion(None, refusal="I will not.")
    server.reply = says("Right.\nScore: 4", "I cannot tell.", refusal, "No.\nScore: 0")
    asked = [line(0, "case 0"), line(1, "case 1"), line(2, "case 2"), line(3, "case 3")]
    twin = {**asked[0], "id": "patient-0-again"}
    found = judged(options(server, key_env="JUDGE_KEY"), "report", [*asked, twin], tmp_path)
    assert [each["grade"] for each in found] == [4, "unparsed", "unparsed", 0, 4]
    assert [{k: v for k, v in each.items() if k != "grade"} for each in found] == [*asked, twin]
    assert len(server.bodies) == 4  # equal texts once
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer sk-judge"}
    prompts = {body["messages"][0]["content"] for body in server.bodies}
    assert prompts == {judge_prompt(each["question"], each["answer"], each["prediction"]) for each in asked}
    assert {name for body in server.bodies for name in body} == {"model", "messages", "temperature", "max_tokens"}
    assert {(body["model"], body["temperature"]) for body in server.bodies} == {("wise", 0.0)}
    sent = json.dumps(server.bodies)
    assert "patient" not in sent.replace("done for the patient", "")
    assert "secret" not in sent
    assert rows(tmp_path)[0] == {"id": "patient-0", "grade": 4, "reply": "Right.\nScore: 4", "model": "served-1"}
    assert rows(tmp_path)[2]["reply"] == "I will not."
    assert "2 of 5 replies of the judge hold no grade" in caplog.text
    assert f"go to {server.url[7:-3]} (4, less those" in caplog.text
    assert judged(options(server), "report", asked, tmp_path / "..") == found[:4]
    assert len(server.bodies) == 4
    judged(options(server, model="wiser"), "report", asked[:1], tmp_path)
    judged(options(server, body={"temperature": None, "seed": 1}), "report", asked[:1], tmp_path)
    assert len(server.bodies) == 6
    assert "temperature" not in server.bodies[-1]


def test_no_reply_is_no_grade_and_is_asked_again(
    server: ChatServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    long = ChatServer.completion("Well, ", finish="length")
    server.reply = says("Score: 3", (400, {"error": {"message": "too long"}}), long)
    asked = [line(n, f"case {n}") for n in range(3)]
    found = judged(options(server), "report", asked, tmp_path)
    assert [each["grade"] for each in found] == [3, "failed", "failed"]
    assert "rejected (400): 400 from" in rows(tmp_path)[1]["error"]
    assert "2 answers are not judged (1 x rejected (400), 1 x cut off); run the command again" in caplog.text
    assert """replies longer than 1024 tokens: give --judge-body '{"max_tokens": ...}'""" in caplog.text
    server.reply = says("", "Score: 2", "Score: 1")
    assert [each["grade"] for each in judged(options(server), "report", asked, tmp_path)] == [3, 2, 1]
    assert len(server.bodies) == 5


def test_of_vqa_the_open_questions(server: ChatServer, tmp_path: Path) -> None:
    server.reply = says("Score: 1")
    found = judged(options(server), "vqa", [line(0, "yes", answer="No"), line(1, "case 0")], tmp_path)
    assert [each.get("grade") for each in found] == [None, 1]
    assert judged(options(server), "vqa", [line(0, "yes", answer="No")], tmp_path)[0].get("grade") is None


def test_a_server_that_cannot_be_used_ends_the_run_and_keeps_what_was_said(server: ChatServer, tmp_path: Path) -> None:
    def reply(number: int, _: Any) -> Any:
        return ChatServer.completion("Score: 2") if number <= 10 else (401, {"error": {"message": "no key"}})

    server.reply = reply
    asked = [line(n, f"case {n}") for n in range(30)]
    with pytest.raises(
        PathPluginsError, match=r"no key; set the key .*--judge-key-env.*; the answers of the model and"
    ):
        judged(options(server), "report", asked, tmp_path)
    assert not (tmp_path / JUDGEMENTS).exists()
    assert len(server.bodies) < 30
    before = len(server.bodies)
    server.reply = lambda *_: ChatServer.completion("Score: 2")
    assert {each["grade"] for each in judged(options(server), "report", asked, tmp_path)} == {2}
    assert len(server.bodies) - before == 20


def test_a_killed_run_goes_on(server: ChatServer, tmp_path: Path) -> None:
    """SIGKILL between two replies: none of those on disk is paid twice."""
    server.reply = lambda number, _: time.sleep(0 if number <= 16 else 30) or ChatServer.completion("Score: 3")
    asked = [line(n, f"case {n}") for n in range(24)]
    (tmp_path / "lines.json").write_text(json.dumps(asked))
    code = f"""
import json, pathlib
from pathplugins.commands.judging import JudgeOptions, judged
options = JudgeOptions(url={server.url!r}, model="wise", key_env=None, body={{}})
judged(options, "report", json.loads(pathlib.Path({str(tmp_path / "lines.json")!r}).read_text()), pathlib.Path("."))
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as run:
        while len(server.bodies) < 24:  # 16 answered, 8 under way
            assert run.poll() is None
            time.sleep(0.02)
        run.kill()
    server.reply = lambda *_: ChatServer.completion("Score: 3")
    assert {each["grade"] for each in judged(options(server), "report", asked, tmp_path)} == {3}
    assert len(server.bodies) == 24 + 8


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_options(monkeypatch: pytest.MonkeyPatch) -> None:
    assert JudgeOptions.of(parsed(), "report") is None
    found = JudgeOptions.of(
        parsed("--judge", "http://h:1/v1", "--judge-model", "m", "--judge-body", '{"seed": 2}'), "vqa"
    )
    assert found is not None
    assert found.told() == {
        **{"model": "m", "temperature": 0.0, "max_tokens": 1024, "seed": 2},
        **{"scale": [0, 4], "prompt": rubric()},
    }
    monkeypatch.setenv("OPENAI_API_KEY", "sk-\n garbled")
    with pytest.raises(PathPluginsError, match="OPENAI_API_KEY holds no key"):
        found.check()


@pytest.mark.parametrize(
    ("words", "task", "message"),
    [
        (["--judge-model", "m"], "report", "--judge-model belongs to --judge URL"),
        (["--judge", "http://h/v1"], "report", "--judge needs --judge-model NAME"),
        (["--judge", "http://h/v1", "--judge-model", "m"], "choices", "--task report or vqa, not choices"),
    ],
)
def test_mistakes(words: list[str], task: Any, message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        JudgeOptions.of(parsed(*words), task)


def test_an_address_is_called_by_its_option() -> None:
    options = JudgeOptions(url="ftp://h", model="m", key_env=None, body={})
    with pytest.raises(PathPluginsError, match=r"--judge must look like http://HOST:PORT/v1.*see --judge-key-env"):
        options.check()
