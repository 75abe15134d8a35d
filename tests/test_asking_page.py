"""Every command and every line of Python of docs/asking.md runs, on a tiny model and a small slide."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from talking_models import slide, talker

from pathplugins.cli import main

__all__ = ["slide", "talker"]

pytest.importorskip("openslide")
pytest.importorskip("timm")
PAGE = (Path(__file__).resolve().parent.parent / "docs" / "asking.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LINES = [line for kind, body in BLOCKS if kind == "bash" for line in body.splitlines()]
TRIAL = "--encoder test_vit --random-weights 0"
"""What stands in for weights of gigabytes."""


@pytest.fixture(scope="module")
def place(talker: Path, slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that holds what the page says one needs."""
    from pathplugins.data_tools.cli import main as pathdata

    root = tmp_path_factory.mktemp("asking")
    (root / "hf_model").symlink_to(talker)
    shutil.copy(slide, root / "slide.svs")
    shutil.copy(slide, root / "slide_1.svs")
    made = pathdata(["run", str(root / "slide_1.svs"), "--out", str(root / "tiles"), *TRIAL.split()])
    assert made == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHPLUGINS_CACHE", str(root / "cache"))
        patch.chdir(root)
        yield root


def test_lines_were_found() -> None:
    assert len(LINES) == 4
    assert sum("pytorch_model.bin" in line for line in LINES) == 2
    assert [kind for kind, _ in BLOCKS] == ["bash", "bash", "python"]


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_page_runs(
    line: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed, _, command = line.rpartition(" | ")
    typed = shlex.split(typed)[1].replace("\\n", "\n") if typed else "What is it?\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    words = shlex.split(command.replace("--encoder-weights pytorch_model.bin", TRIAL))
    assert words[0] == "pathplugins"
    assert main([*words[1:], "--max-new-tokens", "4", "--device", "cpu"]) == 0
    told = capsys.readouterr()
    assert told.out.strip()
    if "--json" in line:
        assert [json.loads(each)["question"] for each in told.out.splitlines()] == [
            "What is the diagnosis?",
            "Is there necrosis?",
        ]
    if "--slide" in line:
        assert f"slide.svs: its patches are drawn in {place / 'cache' / 'slides'}" in told.err


def test_the_python_of_the_page_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = [body for kind, body in BLOCKS if kind == "python"]
    code = code.replace('encoder_weights="pytorch_model.bin"', 'encoder="test_vit", random_weights=0')
    code = code.replace('load_model("hf_model")', 'load_model("hf_model", device="cpu")')
    assert "random_weights" in code
    exec(compile(code.replace("seed=1)", "seed=1, max_new_tokens=4)"), "asking.md", "exec"), {})
    assert len(capsys.readouterr().out) > 2
