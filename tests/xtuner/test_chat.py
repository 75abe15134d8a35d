"""``xtuner chat`` with a model of ours: a line that names what asks it, before anything is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pathplugins.xtuner.chat import refusal


def test_a_model_of_ours_is_answered_with_the_command_that_asks_it(tmp_path: Path) -> None:
    for name, kind in (("ours", "custom_llava"), ("other", "llama")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"model_type": kind}))
    ours, other = str(tmp_path / "ours"), str(tmp_path / "other")
    assert f"`pathplugins chat {ours}`" in str(refusal(["xtuner", "chat", "--bits", "4", ours]))
    assert refusal(["xtuner", "chat", other, "--llava", ours]) is not None
    for words in (["xtuner", "chat", other], ["xtuner", "train", ours], ["xtuner"], ["xtuner", "chat", "none"]):
        assert refusal(words) is None


@pytest.mark.host
def test_the_command_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "custom_llava"}')
    line = [str(Path(sys.executable).parent / "xtuner"), "chat", str(tmp_path), "--image", "slide.png"]
    run = subprocess.run(line, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("error: xtuner chat asks language models")
    assert f"`pathplugins chat {tmp_path}`" in last
    assert "Traceback" not in run.stderr
