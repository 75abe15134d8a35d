"""Slides in LLaMA-Factory's chat, api and webchat: ``pathplugins bag`` makes the bag that is asked about.

It works in a process of its own, whose progress is shown, and keeps what it has made for what the slide holds.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown
from pathplugins.encoders.slide_options import SlideOptions

KEY = "slide_options"
_ONE_AT_A_TIME = threading.Lock()


def slide_options(given: Mapping[str, Any] | None) -> SlideOptions:
    """Return the options of the key ``slide_options``.

    Raises:
        PathPluginsError: a name that is none, or values that exclude each other.
    """
    known = [field.name for field in fields(SlideOptions)]
    for name in given or {}:
        if name not in known:
            raise PathPluginsError(f"{KEY}: {unknown('option', name, known)}")
    return SlideOptions(**(given or {}))


def bag_of(slide: Path, model: str, options: SlideOptions) -> Path:
    """Return the bag of a slide, made with the patch encoder of a model where there is none yet.

    Args:
        slide: file, or folder of a slide of several files.
        model: directory of the model.
        options: how it is made.

    Raises:
        PathPluginsError: it cannot be made, with what ``pathplugins bag`` says.
    """
    found = slide.stat()
    with _ONE_AT_A_TIME:
        bag = _made(slide, model, options, found.st_size, found.st_mtime_ns)
        if not bag.is_file():  # the cache was emptied
            _made.cache_clear()
            bag = _made(slide, model, options, found.st_size, found.st_mtime_ns)
    return bag


@functools.lru_cache(maxsize=1024)
def _made(slide: Path, model: str, options: SlideOptions, *stamp: int) -> Path:
    del stamp  # part of the key: a slide written anew is looked at anew
    words = [sys.executable, "-m", "pathplugins.cli", "bag", model, f"--slide={slide}"]
    for name, value in asdict(options).items():
        option = f"--{name.replace('_', '-')}"
        if value is not None and value is not False:
            words.append(option if value is True else f"{option}={value}")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = []
    with process:
        for line in process.stderr or ():
            said.append(line)
            sys.stderr.write(line)
        bag = process.stdout.read().strip() if process.stdout else ""
    if process.returncode:
        _, error, reason = "".join(said).rpartition("error: ")
        reason = (reason if error else "".join(said[-3:])).strip() or f"exit code {process.returncode}"
        where = f"\nHere options are entries of a key: {KEY}: {{encoder_weights: FILE}}" if " --" in reason else ""
        raise PathPluginsError(f"{slide}: {reason.removeprefix('--slide: ')}{where}")
    return Path(bag)
