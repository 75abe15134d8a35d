"""``pathdata pathgen caption`` against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, str]]
KEY = "sk-secret-of-the-tests"
INTERRUPTIBLE = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "runpy.run_module('pathplugins.data_tools', run_name='__main__')"
)
"""The command line as a program that SIGINT interrupts, also where the shell's background jobs ignore it."""

pytestmark = pytest.mark.usefixtures("quick")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "captions.jsonl"


@pytest.fixture
def caption(pathdata: Run, selected: Path, server: Any, out: Path) -> Run:
    """``caption(*more options)`` of the six patches."""

    def run(*more: object, source: Path = selected) -> tuple[int, str]:
        return pathdata("pathgen", "caption", source, "--base-url", server.url, "--model", "vlm", "--out", out, *more)

    return run


def test_the_three_stages(caption: Run, server: Any, selected: Path, out: Path, capfd: Any) -> None:
    code, said = caption("--stages", "describe,revise,summarise")
    assert code == 0
    assert len(server.bodies) == 18
    for row, source in zip(rows(out), rows(selected / "manifest.jsonl"), strict=True):
        assert {name: row[name] for name in source if name != "image"} == {
            name: value for name, value in source.items() if name != "image"
        }
        assert (out.parent / row["image"]).read_bytes() == (selected / source["image"]).read_bytes()
        assert [*row["captions"]] == ["describe", "revise", "summarise"]
        assert row["caption"] == row["captions"]["summarise"]
        assert (row["model"], row["models"]["revise"]) == ("served-1", "served-1")
        picture = (selected / source["image"]).read_bytes()
        mine = [server.asked(body) for body in server.bodies if picture in server.asked(body)]
        assert len(mine) == 2  # describe and revise see it
        assert [text for _, text in mine if text.endswith(row["captions"]["describe"])]
        assert [
            text
            for image, text in map(server.asked, server.bodies)
            if image is None and row["captions"]["revise"] in text
        ]
    assert all(body["temperature"] == 0 and body["max_tokens"] == 512 for body in server.bodies)
    assert "18 replies (0 tries repeated), 0 answers were in the cache; 1800 + 126 tokens" in said
    assert f"{out}: 6 captions; 0 refused, 0 failed" in said


def test_a_second_run_asks_nothing_and_a_changed_stage_only_itself(
    caption: Run, server: Any, out: Path, tmp_path: Path
) -> None:
    caption("--stages", "describe,revise,summarise")
    first = out.read_bytes()
    code, said = caption("--stages", "describe,revise,summarise", "--max-tokens", 900)
    assert (code, len(server.bodies), out.read_bytes()) == (0, 18, first)
    assert "0 replies (0 tries repeated), 18 answers were in the cache; 0 + 0 tokens" in said
    (tmp_path / "short.txt").write_text("In ten words: {description}")
    caption("--stages", f"describe,revise,summarise={tmp_path / 'short.txt'}")
    assert len(server.bodies) == 18 + 6
    caption("--stages", "describe", "--temperature", 0.5)
    caption("--stages", "describe", "--body", '{"seed": 1}')
    caption("--stages", "describe", "--stage-model", "describe=other")
    assert [(b["model"], b["temperature"], b.get("seed")) for b in server.bodies[24::6]] == [
        ("vlm", 0.5, None),
        ("vlm", 0, 1),
        ("other", 0, None),
    ]


def test_captions_of_one_run_are_the_manifest_of_the_next(
    caption: Run, server: Any, pathdata: Run, out: Path, tmp_path: Path
) -> None:
    caption("--stages", "describe")
    described, deeper = rows(out), tmp_path / "deeper" / "final.jsonl"
    asking = ("--base-url", server.url, "--model", "llm", "--stages", "summarise", "--out", deeper)
    assert pathdata("pathgen", "caption", out, *asking)[0] == 0
    for row, before in zip(rows(deeper), described, strict=True):
        assert row["captions"]["describe"] == before["caption"]
        assert row["caption"] == row["captions"]["summarise"] != before["caption"]
        assert [*row["models"]] == ["describe", "summarise"]
        assert (deeper.parent / row["image"]).is_file()
    assert all(server.asked(body)[0] is None for body in server.bodies[6:])


def test_captions_become_training_data(
    caption: Run, server: Any, pathdata: Run, selected: Path, out: Path, tmp_path: Path
) -> None:
    lines = rows(selected / "manifest.jsonl")
    lines[0] |= {"id": "7", "conversations": [{"from": "human", "value": "<image>\nWhat?"}], "type": "OPEN"}
    (selected / "manifest.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    caption("--stages", "describe,summarise")
    data = tmp_path / "train.json"
    words = ("--to", "sharegpt", "--image-folder", tmp_path, "--out", data)
    code, said = pathdata("convert", "pathgen", out, *words)
    assert code == 0, said
    samples = json.loads(data.read_text())
    assert [sample["conversations"][1]["value"] for sample in samples] == [row["caption"] for row in rows(out)]
    for sample, row in zip(samples, lines, strict=True):
        assert (tmp_path / sample["images"][0]).read_bytes() == (selected / row["image"]).read_bytes()


def test_the_published_prompt_with_captions_of_others(
    caption: Run, server: Any, patches: Callable[..., Path], out: Path
) -> None:
    folder = patches("quilt", 2, caption="Nests of cells.")
    assert caption("--stages", "describe_published", source=folder)[0] == 0
    assert all(server.asked(body)[1].endswith("Additional description: Nests of cells.") for body in server.bodies)
    assert rows(out)[0]["captions"]["original"] == "Nests of cells."
    assert rows(out)[0]["caption"].startswith("tissue ")


def test_each_stage_may_have_its_own_server(
    caption: Run, server: Any, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", "other-key")
    local = server.url.replace("127.0.0.1", "localhost")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    own = (
        "--stage-url",
        f"revise={local}",
        "--stage-url",
        f"summarise={local}",
        "--stage-key-env",
        "summarise=OTHER_KEY",
    )
    assert caption("--stages", "describe,revise,summarise", "--stage-model", "summarise=llm", *own)[0] == 0
    found = {
        (body["model"], headers["Host"].split(":")[0], headers.get("Authorization"))
        for body, headers in zip(server.bodies, server.headers, strict=True)
    }
    assert found == {  # the key of one server is not told another
        ("vlm", "127.0.0.1", f"Bearer {KEY}"),
        ("vlm", "localhost", None),
        ("llm", "localhost", "Bearer other-key"),
    }


def test_refused_failed_and_captioned_are_kept_apart(
    caption: Run, server: Any, selected: Path, out: Path, capfd: Any
) -> None:
    pictures = [(selected / row["image"]).read_bytes() for row in rows(selected / "manifest.jsonl")]
    replies = {
        0: server.completion("I'm sorry, but I can't assist with that."),
        1: server.completion("", finish="content_filter"),
        2: server.completion(None, refusal="No."),
        3: server.completion("Nests of", finish="length"),
        4: (400, {"error": {"message": "image is broken"}}),
    }
    server.reply = lambda number, body: replies.get(pictures.index(server.asked(body)[0]))
    code, said = caption("--json")
    assert code == 1
    assert [row["x"] // 672 for row in rows(out)] == [5]
    refused = rows(out.with_name("captions.jsonl.refused.jsonl"))
    assert [(row["row"], row["stage"], row["reason"], row["text"]) for row in refused] == [
        (1, "describe", "refusing words", "I'm sorry, but I can't assist with that."),
        (2, "describe", "content_filter", ""),
        (3, "describe", "refusal", "No."),
    ]
    failed = rows(out.with_name("captions.jsonl.failed.jsonl"))
    assert [(row["row"], row["reason"]) for row in failed] == [(4, "cut off"), (5, "rejected (400)")]
    assert "image is broken" in failed[1]["text"]
    assert (out.parent / refused[0]["image"]).is_file()
    assert "5 of 6 samples cannot be used" in said
    assert "manifest.jsonl:4: cut off: describe: reached --max-tokens; it begins 'Nests of'" in said
    # again: refusals are not asked again unless that is wanted, failures are
    server.reply = lambda number, body: None
    asked = len(server.bodies)
    assert caption()[0] == 1
    assert len(server.bodies) == asked + 2
    assert not out.with_name("captions.jsonl.failed.jsonl").exists()
    assert caption("--retry-refused")[0] == 0
    assert len(server.bodies) == asked + 5
    assert len(rows(out)) == 6
    assert not out.with_name("captions.jsonl.refused.jsonl").exists()


def test_a_row_stops_at_the_stage_that_fails(caption: Run, server: Any, out: Path) -> None:
    server.reply = lambda number, body: None if server.asked(body)[0] else server.completion(" ")
    assert caption("--stages", "describe,summarise,revise")[0] == 1
    assert not out.exists()  # nothing to write
    failed = rows(out.with_name("captions.jsonl.failed.jsonl"))
    assert {(row["stage"], row["reason"]) for row in failed} == {("summarise", "empty answer")}
    assert all([*row["captions"]] == ["describe"] for row in failed)


def test_busy_servers_and_one_report(caption: Run, server: Any, out: Path) -> None:
    server.reply = lambda number, body: (
        (429, {"error": {"message": "slow"}}, {"Retry-After": "0"}) if number % 2 else None
    )
    code, said = caption("--concurrency", 1)
    assert (code, len(rows(out)), len(server.bodies)) == (0, 6, 12)
    assert "6 replies (6 tries repeated)" in said


def test_rows_are_asked_about_side_by_side(caption: Run, server: Any, out: Path) -> None:
    server.reply = lambda number, body: time.sleep(0.3)
    caption("--concurrency", 3)
    assert server.busiest == 3
    xs = [row["x"] for row in rows(out)]
    assert xs == sorted(xs)  # in the order of the manifest


def test_requests_per_minute(caption: Run, server: Any) -> None:
    caption("--requests-per-minute", 1200)
    gaps = [after - before for before, after in zip(server.times, server.times[1:], strict=False)]
    assert server.times[-1] - server.times[0] > 0.22, gaps


def test_a_wrong_key_stops_all_and_is_not_told(
    caption: Run, server: Any, out: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server.reply = lambda number, body: (401, {"error": {"message": f"Incorrect API key: {KEY}"}})
    code, said = caption("--api-key-env", "MY_KEY", "--concurrency", 1)
    assert (code, len(server.bodies)) == (2, 1)
    assert "401" in said
    assert KEY not in said
    assert KEY.encode() not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not out.exists()


def test_a_server_that_goes_away_keeps_what_was_answered(caption: Run, server: Any, out: Path) -> None:
    server.reply = lambda number, body: (401, {"detail": "expired"}) if number > 3 else None
    code, said = caption("--concurrency", 1)
    assert (code, "the answers so far are kept" in said) == (2, True)
    assert not out.exists()
    server.reply = lambda number, body: None
    assert caption()[0] == 0
    assert len(server.bodies) == 4 + 3


def test_json_and_cost(caption: Run, server: Any, selected: Path, out: Path, capfd: Any) -> None:
    from pathplugins.data_tools.cli import main

    words = ("--base-url", server.url, "--model", "vlm", "--json", "--price-in", "2.5", "--price-out", "10")
    assert main(["pathgen", "caption", str(selected), "--out", str(out), *words]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told.pop("seconds") > 0
    assert told == {
        **{"captioned": 6, "refused": 0, "failed": 0, "requests": 6, "repeated": 0, "known": 0, "uncounted": 0},
        **{"prompt_tokens": 600, "completion_tokens": 42, "cost": 600 * 2.5e-6 + 42 * 10e-6, "out": str(out)},
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stage-model", "revize=m"], "unknown stage in --stage-model 'revize'. Known: describe"),
        (["--api-key-env", "NOWHERE_SET"], "the environment variable NOWHERE_SET holds no key"),
        (["--concurrency", "0"], "--concurrency must be at least 1, got 0"),
        (["--price-in", "1"], "--price-in and --price-out go together"),
        (["--max-tokens", "0"], "--max-tokens must be at least 1"),
        (["--stages", "revise"], "6 x no description"),
    ],
)
def test_what_cannot_start(caption: Run, server: Any, words: list[str], message: str, out: Path) -> None:
    code, said = caption(*words)
    assert (code, message in said, server.bodies) == (2, True, []), said
    assert not out.exists()


def test_servers_and_models_are_asked_for(pathdata: Run, selected: Path, out: Path) -> None:
    command = ("pathgen", "caption", selected, "--out", out)
    assert "pass --base-url URL of the server" in pathdata(*command)[1]
    assert "--model is needed for stage describe" in pathdata(*command, "--base-url", "http://127.0.0.1:1/v1")[1]


def test_files_of_others_are_not_replaced(caption: Run, pathdata: Run, server: Any, selected: Path, out: Path) -> None:
    out.write_text("mine")
    code, said = caption()
    assert (code, "was not written by this command" in said, out.read_text()) == (2, True, "mine")
    manifest = selected / "manifest.jsonl"
    before = manifest.read_bytes()
    (selected / "manifest.jsonl.cache").mkdir()
    asking = ("--base-url", server.url, "--model", "m", "--out", manifest)
    assert pathdata("pathgen", "caption", selected, *asking)[0] == 2
    assert manifest.read_bytes() == before


def test_killed_and_resumed(pathdata: Run, server: Any, patches: Callable[..., Path], tmp_path: Path) -> None:
    folder, stopped, whole = patches("many", 40), tmp_path / "stopped.jsonl", tmp_path / "whole.jsonl"
    asking = ("--base-url", server.url, "--model", "vlm", "--concurrency", 2, "--stages", "describe,summarise")
    command = ("pathgen", "caption", folder, *asking, "--out")
    assert pathdata(*command, whole)[0] == 0
    distinct = len(server.bodies)
    assert distinct == 80
    assert [row["x"] for row in rows(whole)] == [672 * number for number in range(40)]  # more than are begun at a time
    server.bodies.clear()
    for moment, how, code in ((9, signal.SIGKILL, -9), (35, signal.SIGINT, 130)):
        gate = threading.Event()
        server.reply = lambda number, body, gate=gate, last=moment: gate.wait(20) and None if number >= last else None
        words = [sys.executable, "-c", INTERRUPTIBLE, *map(str, (*command, stopped))]
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        while len(server.bodies) < moment:
            assert process.poll() is None
            time.sleep(0.002)
        os.kill(process.pid, how)
        time.sleep(0.2)
        gate.set()
        assert process.wait(30) == code
        assert not stopped.exists()
    assert pathdata(*command, stopped)[0] == 0
    assert stopped.read_bytes() == whole.read_bytes()
    assert len(rows(stopped)) == 40
    assert distinct <= len(server.bodies) <= distinct + 2  # on their way at SIGKILL; SIGINT waits for its answers
    assert not [*tmp_path.glob(".*.tmp")]


def test_one_run_at_a_time_writes_a_file(caption: Run, server: Any, out: Path) -> None:
    from pathplugins.data_tools.engine.locks import holding

    with holding(out.with_name("captions.jsonl.cache") / "lock"):
        code, said = caption()
    assert (code, f"--out {out} is being written by process {os.getpid()}" in said, server.bodies) == (2, True, [])
