"""``pathplugins serve``: one model behind an OpenAI-compatible interface, asked by many at once."""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path
from typing import Any

from pathplugins.commands.loading import add_encoder_option, load_model, load_processor
from pathplugins.commands.model_directory import model_directory
from pathplugins.commands.prompting import conversation
from pathplugins.commands.quick_start import start_quickly
from pathplugins.commands.sampling import MAX_NEW_TOKENS, Sampling
from pathplugins.commands.serve.engine import MAX_BATCH, MAX_WAITING, OPENED_BYTES, Engine
from pathplugins.commands.serve.roots import Roots
from pathplugins.commands.serve.server import address_of, bound
from pathplugins.commands.serve.server import run as serve
from pathplugins.commands.serve.state import ServerState
from pathplugins.commands.serve.uploads import MAX_UPLOAD
from pathplugins.commands.serve.viewer import HOW, has_viewer
from pathplugins.commands.slide_bags import add_slide_options, slide_options_of
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import require

KEY = "PATHPLUGINS_API_KEY"
_MIB = 2**20
_LOCAL = ("127.0.0.1", "localhost", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="composed or trained model directory, or hub id")
    parser.add_argument(
        "--root",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder of what may be asked about; repeatable",
    )
    parser.add_argument("--host", default="127.0.0.1", metavar="NAME", help="address to listen at; default %(default)s")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="default %(default)s; 0: a free one")
    parser.add_argument("--api-key", metavar="KEY", help=f"that clients must send; better in the environment as {KEY}")
    parser.add_argument(
        "--max-batch", type=int, default=MAX_BATCH, metavar="N", help="questions answered at once; default %(default)s"
    )
    parser.add_argument(
        "--max-waiting", type=int, default=MAX_WAITING, metavar="N", help="questions that may wait; default %(default)s"
    )
    parser.add_argument(
        "--max-upload",
        type=float,
        default=MAX_UPLOAD / _MIB,
        metavar="MIB",
        help="largest file that a client may send; default %(default)g",
    )
    parser.add_argument(
        "--opened-memory",
        type=float,
        default=OPENED_BYTES / _MIB,
        metavar="MIB",
        help="for the vision tokens of files asked about before; default %(default)g",
    )
    parser.add_argument(
        "--max-new-tokens",
        type=int,
        default=MAX_NEW_TOKENS,
        metavar="N",
        help="length of an answer whose request has no max_tokens; default %(default)s",
    )
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, ...; auto: a GPU if any")
    parser.add_argument("--adapter", metavar="DIR", help="LoRA adapter trained on the model")
    add_encoder_option(parser)
    add_slide_options(parser)


def run(args: argparse.Namespace) -> int:
    """Check what was given, load the model, answer until the process is told to end."""
    from pathplugins.commands.serve.app import EXTRA, MODULES, app

    require(*MODULES, extra=EXTRA)
    Sampling(max_new_tokens=args.max_new_tokens)
    slides, roots, key = slide_options_of(args), Roots(args.root), _api_key(args)
    for name in ("max_batch", "max_waiting", "max_upload", "opened_memory"):
        if not 0 < getattr(args, name) < math.inf:
            raise PathPluginsError(f"--{name.replace('_', '-')} is {getattr(args, name):g}, expected above 0")
    with bound(args.host, args.port) as taken:
        start_quickly()
        folder = model_directory(args.model)
        processor: Any = load_processor(folder, allow_other_encoder=args.allow_other_encoder)
        conversation(processor.tokenizer, "?")
        model = load_model(
            folder, adapter=args.adapter, device=args.device, allow_other_encoder=args.allow_other_encoder
        )
        engine = Engine(
            model,
            max_batch=args.max_batch,
            max_waiting=args.max_waiting,
            opened_bytes=int(args.opened_memory * _MIB),
        )
        state = ServerState(
            model=model,
            roots=roots,
            slides=slides,
            engine=engine,
            api_key=key,
            max_upload=int(args.max_upload * _MIB),
            max_new_tokens=args.max_new_tokens,
        )
        made = app(state)
        address = address_of(taken)
        _say(f"{state.name} reads {model.reads}, and answers at {address}/v1, a browser at {address}; Ctrl-C ends it")
        if not has_viewer():
            _say(f"the page shows no slides until the server has its viewer: run `{HOW}`")
        if key is None and args.host not in _LOCAL:
            _say(f"whoever reaches {args.host} may ask about every file below the roots: give --api-key, or {KEY}")
        serve(made, taken, state.requests)
    return 0


def _api_key(args: argparse.Namespace) -> str | None:
    key = os.environ.get(KEY) if args.api_key is None else args.api_key
    if key is not None and (not key.strip() or not key.isascii() or key != key.strip()):
        raise PathPluginsError(
            f"the API key is empty, holds more than ASCII, or blanks around it, as a line of a file has; give another "
            f"with --api-key or {KEY}"
        )
    return key


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
