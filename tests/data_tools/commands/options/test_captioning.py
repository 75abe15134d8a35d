"""Options of requests about patches."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.commands.options import read_options
from pathplugins.data_tools.commands.options.captioning import PatchRequestOptions, add_patch_request_options


def parsed(*words: str) -> PatchRequestOptions:
    parser = argparse.ArgumentParser()
    add_patch_request_options(parser)
    return read_options(parser.parse_args([*words, "in"]), PatchRequestOptions)


def test_what_a_request_gets() -> None:
    options = parsed("--temperature", "0.5", "--max-tokens", "7", "--body", '{"seed": 1, "max_tokens": null}')
    assert options.source == Path("in")
    body = options.request().body("vlm", "What?", None)
    assert (body["model"], body["temperature"], body["seed"]) == ("vlm", 0.5, 1)
    assert "max_tokens" not in body  # None takes the field out
    assert options.without_image() == ["summarise"]
    assert parsed("--text-only", "a,b").without_image() == ["a", "b"]


def test_wrong_values(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PathPluginsError, match="--max-tokens must be at least 1, got 0; 512 is usual"):
        parsed("--max-tokens", "0")
    for wrong in ("{", "[1]"):
        with pytest.raises(SystemExit, match="2"):
            parsed("--body", wrong)
        assert "wanted a JSON object such as" in capfd.readouterr().err
