"""Batch files: requests out, results back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, str]]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def result(request: dict[str, Any], content: str, **choice: Any) -> dict[str, Any]:
    body = {
        "model": "gpt-4o-2024-11-20",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop", **choice}
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }
    response = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": "batch_req_1", "custom_id": request["custom_id"], "response": response, "error": None}


def test_requests_are_what_the_service_takes(selected: Path, server: Any, pathdata: Run, tmp_path: Path) -> None:
    out = tmp_path / "requests.jsonl"
    code, said = pathdata("pathgen", "caption-requests", selected, "--prompt", "describe", "--out", out)
    assert (code, "6 rows in 1 file" in said) == (0, True)
    requests, manifest = rows(out), rows(selected / "manifest.jsonl")
    assert len(requests) == len({request["custom_id"] for request in requests}) == 6
    for number, (request, row) in enumerate(zip(requests, manifest, strict=True), start=1):
        assert (request["method"], request["url"]) == ("POST", "/v1/chat/completions")
        assert request["custom_id"].startswith(f"describe-{number:07d}-")
        assert len(request["custom_id"]) <= 64
        image, text = server.asked(request["body"])
        assert image == (selected / row["image"]).read_bytes()
        assert text.startswith("The image is a patch of a tissue section")
        assert (request["body"]["model"], request["body"]["temperature"], request["body"]["max_tokens"]) == (
            "gpt-4o",
            0,
            512,
        )
    before = out.read_bytes()
    pathdata("pathgen", "caption-requests", selected, "--prompt", "describe", "--out", out)
    assert out.read_bytes() == before


def test_the_published_prompt_takes_the_caption(patches: Callable[..., Path], server: Any, pathdata: Run) -> None:
    folder = patches("quilt", 2, caption="Nests of cells.")
    out = folder / "requests.jsonl"
    words = (
        "--prompt",
        "describe_published",
        "--model",
        "m",
        "--body",
        '{"seed": 3, "temperature": null}',
        "--out",
        out,
    )
    assert pathdata("pathgen", "caption-requests", folder, *words)[0] == 0
    body = rows(out)[0]["body"]
    assert server.asked(body)[1].endswith("\n\nAdditional description: Nests of cells.")
    assert {name: body[name] for name in body if name != "messages"} == {"model": "m", "max_tokens": 512, "seed": 3}


def test_parts_stay_under_the_limits(selected: Path, pathdata: Run, tmp_path: Path) -> None:
    out = tmp_path / "requests.jsonl"
    command = ("pathgen", "caption-requests", selected, "--out", out)
    assert pathdata(*command, "--part-requests", 2)[0] == 0
    parts = [out, tmp_path / "requests-2.jsonl", tmp_path / "requests-3.jsonl"]
    assert [len(rows(part)) for part in parts] == [2, 2, 2]
    whole = [line for part in parts for line in part.read_bytes().splitlines(keepends=True)]
    size = sum(map(len, whole))
    assert pathdata(*command, "--part-mb", (size / 2 + 500) / 1e6)[0] == 0
    assert [part.exists() for part in parts] == [True, True, False]  # one of the earlier run is gone
    assert out.read_bytes() + parts[1].read_bytes() == b"".join(whole)
    assert max(part.stat().st_size for part in parts[:2]) <= size / 2 + 500
    code, said = pathdata(*command, "--part-mb", 0.0005)
    assert (code, "manifest.jsonl:1: its request has" in said) == (2, True)
    assert out.read_bytes() + parts[1].read_bytes() == b"".join(whole)  # nothing was touched
    assert not [*tmp_path.glob(".*.tmp")]


def test_only_files_of_requests_are_replaced(selected: Path, pathdata: Run, tmp_path: Path) -> None:
    out, beside = tmp_path / "requests.jsonl", tmp_path / "requests-7.jsonl"
    beside.write_text('{"mine": 1}\n')
    assert pathdata("pathgen", "caption-requests", selected, "--out", out)[0] == 0
    assert beside.exists()
    for name in (beside, selected / "manifest.jsonl"):
        before = name.read_bytes()
        code, said = pathdata("pathgen", "caption-requests", selected, "--out", name)
        assert (code, f"{name} exists and holds no requests" in said, name.read_bytes()) == (2, True, before)


def test_equal_questions_are_asked_once(selected: Path, pathdata: Run, tmp_path: Path) -> None:
    lines = rows(selected / "manifest.jsonl")
    write(selected / "manifest.jsonl", [*lines, lines[0], {**lines[1], "note": "again"}])
    out = tmp_path / "requests.jsonl"
    pathdata("pathgen", "caption-requests", selected, "--out", out)
    assert len(rows(out)) == 6
    results = write(tmp_path / "results.jsonl", [result(r, f"Tissue {n}.") for n, r in enumerate(rows(out))])
    captions = tmp_path / "captions.jsonl"
    assert pathdata("pathgen", "caption", selected, "--responses", results, "--out", captions)[0] == 0
    assert [row["caption"][-2] for row in rows(captions)] == [*"01234501"]


def test_results_come_back_to_their_rows(selected: Path, pathdata: Run, tmp_path: Path, capfd: Any) -> None:
    out, captions = tmp_path / "requests.jsonl", tmp_path / "captions.jsonl"
    pathdata("pathgen", "caption-requests", selected, "--out", out)
    requests = rows(out)
    refusal, cut = result(requests[1], "I'm sorry, but I can't assist with that."), result(requests[2], "Nests")
    cut["response"]["body"]["choices"][0]["finish_reason"] = "length"
    done = [result(requests[5], "Five."), refusal, cut, result(requests[0], "Zero.")]
    expired = {"custom_id": requests[3]["custom_id"], "response": None, "error": {"code": "x", "message": "expired"}}
    bad = {"status_code": 400, "body": {"error": {"code": "invalid_image", "message": "cannot decode"}}}
    errors = [expired, {"custom_id": requests[4]["custom_id"], "response": bad, "error": None}]
    lines = rows(selected / "manifest.jsonl")
    write(selected / "manifest.jsonl", lines[::-1])  # another order: results find their rows
    code, said = pathdata(
        *(
            "pathgen",
            "caption",
            selected,
            "--stages",
            "describe",
            "--out",
            captions,
            "--price-in",
            2,
            "--price-out",
            10,
        ),
        *("--responses", write(tmp_path / "done.jsonl", done), write(tmp_path / "errors.jsonl", errors)),
    )
    assert code == 1
    assert {row["x"] // 672: row["caption"] for row in rows(captions)} == {5: "Five.", 0: "Zero."}
    first = rows(captions)[0]
    assert (first["captions"], first["model"]) == ({"describe": "Five."}, "gpt-4o-2024-11-20")
    (refused,) = rows(tmp_path / "captions.jsonl.refused.jsonl")
    assert (refused["row"], refused["reason"]) == (5, "refusing words")
    failed = {row["row"]: row["text"] for row in rows(tmp_path / "captions.jsonl.failed.jsonl")}
    assert {row: text.split(",")[0] for row, text in failed.items()} == {
        4: "cut off: reached --max-tokens; it begins 'Nests'",
        3: "expired",
        2: "400: cannot decode",
    }
    assert "4 of 6 samples cannot be used: 3 x failed in the batch, 1 x refused (refusing words)" in said
    assert "40 + 8 tokens; cost 0.0002" in said


def test_what_the_results_lack(selected: Path, server: Any, pathdata: Run, tmp_path: Path) -> None:
    out, captions = tmp_path / "requests.jsonl", tmp_path / "captions.jsonl"
    pathdata("pathgen", "caption-requests", selected, "--out", out)
    some = write(tmp_path / "some.jsonl", [result(r, f"Tissue {n}.") for n, r in enumerate(rows(out)[:4])])
    command = ("pathgen", "caption", selected, "--responses", some, "--out", captions)
    code, said = pathdata(*command)
    assert (code, "2 x no answer" in said, "not in the results" in said) == (1, True, True)
    asking = ("--base-url", server.url, "--model", "m", "--stages", "describe,summarise")
    code, said = pathdata(*command, *asking)  # a server answers the rest and the stage after
    assert code == 0
    assert len(server.bodies) == 2 + 6
    assert [row["captions"]["describe"] for row in rows(captions)][:4] == [f"Tissue {n}." for n in range(4)]
    assert not (tmp_path / "captions.jsonl.failed.jsonl").exists()
    # the results of one run do not answer another that is given none of them
    assert pathdata("pathgen", "caption", selected, "--out", captions, *asking)[0] == 0
    assert "Tissue 0." not in [row["captions"]["describe"] for row in rows(captions)]


def test_a_refusal_of_a_batch_may_be_asked_of_a_server(
    selected: Path, server: Any, pathdata: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")  # as good as unset
    out, captions = tmp_path / "requests.jsonl", tmp_path / "captions.jsonl"
    pathdata("pathgen", "caption-requests", selected, "--out", out)
    refused = write(tmp_path / "r.jsonl", [result(request, "I cannot assist with that.") for request in rows(out)])
    command = ("pathgen", "caption", selected, "--responses", refused, "--out", captions)
    asking = ("--base-url", server.url, "--model", "m")
    for words in ((), ("--retry-refused",), asking):
        code, said = pathdata(*command, *words)
        assert (code, "6 x refused (refusing words)" in said) == (1, True)
    assert server.bodies == []
    assert pathdata(*command, *asking, "--retry-refused")[0] == 0
    assert len(server.bodies) == len(rows(captions)) == 6


def test_foreign_results_are_refused(selected: Path, pathdata: Run, tmp_path: Path) -> None:
    foreign = write(tmp_path / "foreign.jsonl", [{"custom_id": "request-1", "response": {}}])
    captions = tmp_path / "captions.jsonl"
    code, said = pathdata("pathgen", "caption", selected, "--responses", foreign, "--out", captions)
    assert (code, "foreign.jsonl:1: custom_id is 'request-1'" in said) == (2, True)
    assert not captions.exists()
