"""Every command and the Python of docs/serving.md run against the server that the page starts."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from served_models import minded, write_tiny_bag
from serving import Served, serving
from talking_models import slide, talker

__all__ = ["minded", "slide", "talker"]

for needed in ("fastapi", "prometheus_client", "uvicorn", "openslide", "timm"):
    pytest.importorskip(needed)
PAGE = (Path(__file__).resolve().parent.parent / "docs" / "serving.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LINES = [line for kind, body in BLOCKS if kind == "bash" for line in body.splitlines()]
CURLS = [line for line in LINES if line.startswith("curl ")]
HOME = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def server(minded: Path, slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The command of the page, with untrained weights of the patch encoder in the place of a file of gigabytes."""
    root = tmp_path_factory.mktemp("serving")
    for name in ("slides", "bags"):
        (root / name).mkdir()
    shutil.copy(slide, root / "slides" / "slide.svs")
    write_tiny_bag(root / "bags" / "slide_1.h5", 9, seed=1)
    (command,) = [shlex.split(line) for line in LINES if line.startswith("pathplugins serve hf_model ")]
    options = " ".join(command[3:]).replace(
        "--encoder-weights pytorch_model.bin", "--encoder test_vit --random-weights 0"
    )
    options = options.replace("--port 8000 ", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        more = ("--max-new-tokens", "5")
        with serving(minded, *options.split(), *more, PATHPLUGINS_CACHE=str(root / "cache")) as served:
            yield served


def test_lines_were_found() -> None:
    assert len(LINES) == len(CURLS) + 2
    assert len(CURLS) == 6
    assert [kind for kind, _ in BLOCKS] == ["bash", "bash", "python", "bash"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("line", CURLS, ids=range(len(CURLS)))
def test_a_command_of_the_page_runs(server: Served, line: str) -> None:
    assert HOME in line
    command = ["bash", "-c", line.replace(HOME, server.url).replace("curl ", "curl -s --fail-with-body ", 1)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout
    if "stream" in line:
        assert run.stdout.rstrip().endswith("data: [DONE]")
    elif "/metrics" in line:
        names = re.findall(r"`(pathplugins_\w+)`", PAGE)
        assert len(names) >= 7
        assert [name for name in names if f"# HELP {name}" not in run.stdout] == []
    else:
        assert isinstance(json.loads(run.stdout), dict)


def test_the_python_of_the_page_runs(server: Served, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openai")
    (code,) = [body for kind, body in BLOCKS if kind == "python"]
    names: dict[str, object] = {}
    exec(compile(code.replace(HOME, server.url), "serving.md", "exec"), names)
    assert names["told"]
    assert capsys.readouterr().out


def test_the_options_of_the_page_are_those_of_the_command() -> None:
    import argparse

    from pathplugins.commands.serve import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
    (table,) = re.findall(r"\| option \|.*?\n\n", PAGE, re.DOTALL)
    assert set(re.findall(r"--[a-z][\w-]+", table)) <= options
    slides = {"--encoder", "--encoder-weights", "--random-weights", "--download", "--activation"}
    slides |= {"--patch-size", "--mpp", "--slide-mpp", "--help"}
    assert options - set(re.findall(r"--[a-z][\w-]+", table)) == slides
