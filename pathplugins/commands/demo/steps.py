"""Steps of a demo: an empty folder, and a command that is shown and run with its log on disk."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from pathplugins.commands.lines import say
from pathplugins.core.errors import PathPluginsError

MARK = ".pathplugins-demo"
"""Empty file in a folder that a demo made, and may therefore empty."""


def clear(out: Path) -> None:
    """Create the folder ``out``, emptied if it holds an earlier demo; a folder with anything else in it is refused."""
    if out.exists() and any(out.iterdir()):
        if not (out / MARK).is_file():
            raise PathPluginsError(f"{out} holds something that is not a demo; name another folder with --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()


def command(out: Path, *words: object, quiet: bool = False, cwd: Path | None = None) -> str:
    """Show a command, run it with its log below ``out`` and return all it printed.

    Args:
        out: folder of the demo.
        words: the command and its arguments; the command is the one installed beside this Python.
        quiet: run without showing it, for repetitions.
        cwd: where to run it; here when None.

    Raises:
        PathPluginsError: it ended with another exit code than 0; the message ends with the last lines of its log.
    """
    argv = [str(word) for word in words]
    if not quiet:
        say("$ " + shlex.join(argv))
    program = Path(sys.executable).with_name(argv[0])
    logs = out / "logs"
    logs.mkdir(exist_ok=True)
    number = len(list(logs.iterdir())) + 1  # a step may run the same command as one before it
    log = logs / f"{number:02}-{argv[0]}-{argv[1]}{'-' + Path(argv[2]).stem if len(argv) > 2 else ''}.log"
    environment = {
        "OMP_NUM_THREADS": "1",  # tensors this small are slower on several
        **os.environ,
        # `xtuner` runs the `python` it finds there
        "PATH": f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PATHPLUGINS_CACHE": str((out / "cache").absolute()),
        "TOKENIZERS_PARALLELISM": "false",
    }
    with log.open("w") as file:
        done = subprocess.run(
            [str(program), *argv[1:]], stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=cwd
        )
    text = log.read_text()
    if done.returncode != 0:
        tail = "\n".join(text.splitlines()[-25:])
        raise PathPluginsError(
            f"{argv[0]} {argv[1]} ended with exit code {done.returncode}; all of it is in {log}:\n{tail}"
        )
    return text
