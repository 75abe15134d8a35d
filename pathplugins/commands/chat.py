"""``pathplugins chat``: a conversation with a model about a slide, bag or image, on a terminal or from a pipe."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pathplugins.commands.ask import add_file_options, add_model_options
from pathplugins.commands.asked_file import AskedFile, asked_file, given_file
from pathplugins.commands.chat_session import ChatSession
from pathplugins.commands.loading import load_model, load_processor, reads_of
from pathplugins.commands.model_directory import model_directory
from pathplugins.commands.prompting import conversation
from pathplugins.commands.quick_start import start_quickly
from pathplugins.commands.sampling import sampling_of
from pathplugins.commands.slide_bags import slide_options_of
from pathplugins.core.errors import MissingDependencyError, PathPluginsError
from pathplugins.core.registry import unknown

HELP = """\
/slide FILE  open a slide: its features are made with the model's patch encoder, and kept
/bag FILE    open an H5 feature bag of a slide
/image FILE  open an image, for a model that reads images
/why [WORD]  draw where the model looked for its last answer, or for a word of it
/new         forget the conversation; the file stays open
/help        show this
/quit        leave, as the end of input does
Anything else is a question about the file that is open. Ctrl-C stops an answer.
"""
FILES = {"/slide": "slide", "/bag": "bag", "/image": "image"}
OTHERS = ("/why", "/new", "/help", "/quit")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"in the chat:\n{HELP}"
    parser.add_argument("model", metavar="MODEL", help="composed or trained model directory, or hub id")
    add_file_options(parser)
    add_model_options(parser)
    parser.add_argument(
        "--why", type=Path, default=Path("why"), metavar="DIR", help="folder for the pictures of /why; default why"
    )


def run(args: argparse.Namespace) -> int:
    """Load the model and talk; from a pipe the exit code is 1 where a line could not be done."""
    sampling = sampling_of(args)
    if args.why.exists() and not args.why.is_dir():
        raise PathPluginsError(f"--why {args.why} is a file; name a folder")
    slide_options_of(args)
    start_quickly()
    folder = model_directory(args.model)
    processor: Any = load_processor(folder, allow_other_encoder=args.allow_other_encoder)
    conversation(processor.tokenizer, "?", system=args.system)
    given = {name: path for name in FILES.values() if (path := getattr(args, name)) is not None}
    file = _file(args, processor, given) if given else None
    model = load_model(folder, adapter=args.adapter, device=args.device, allow_other_encoder=args.allow_other_encoder)
    session = ChatSession(model, sampling, system=args.system)
    if file is not None:
        session.open(file)
    terminal = sys.stdin.isatty()
    if terminal:
        opened = "no file is open" if file is None else f"{file.given} is open"
        _say(f"{args.model} reads {model.reads}; {opened}. /help says what may be typed.")
    wrong = 0
    for line in _lines(terminal):
        if line == "/quit":
            break
        wrong += not _done(line, session, args)
    return int(bool(wrong) and not terminal)


def _done(line: str, session: ChatSession, args: argparse.Namespace) -> bool:
    """Do one line; returns False where it was refused, which ends no chat."""
    try:
        if line.startswith("/"):
            _command(line, session, args)
        elif line:
            session.ask(line, _write)
            _write("\n")
    except (PathPluginsError, MissingDependencyError) as error:
        _say(f"error: {error}")
        return False
    except KeyboardInterrupt:
        _write("\n")
        _say("stopped")
    return True


def _command(line: str, session: ChatSession, args: argparse.Namespace) -> None:
    word, _, rest = line.partition(" ")
    rest = rest.strip()
    if word in FILES:
        if len(rest) > 1 and rest[0] == rest[-1] and rest[0] in "'\"":  # as a terminal writes a file dropped on it
            rest = rest[1:-1]
        if not rest:
            raise PathPluginsError(f"{word} needs a file: {word} FILE")
        session.open(_file(args, session.model.processor, {FILES[word]: Path(rest).expanduser()}))
        _say(f"{rest} is open; the conversation begins anew")
    elif word not in OTHERS:
        raise PathPluginsError(unknown("command", word, [*FILES, *OTHERS]))
    elif word == "/why":
        _draw(session, args.why, rest)
    elif rest:
        raise PathPluginsError(f"{word} stands alone, got {rest!r} behind it")
    elif word == "/new":
        session.begin_anew()
        _say("the conversation begins anew")
    elif word == "/help":
        _say(HELP.rstrip())


def _draw(session: ChatSession, folder: Path, word: str) -> None:
    """Draw where the model looked for its last answer, or for one word of it, and name the files."""
    files = session.explained()
    stem = session.file.given.stem if session.file is not None else ""
    number = next(n for n in itertools.count(1) if not (folder / f"{stem}_{n}.png").exists())
    picture = folder / f"{stem}_{number}.png"
    files.picture(picture, word=word or None)
    if word:
        _say(f'for "{word}": {picture}')
        return
    files.geojson(picture.with_suffix(".geojson"), words=True)
    _say(f"for the answer: {picture}, and for QuPath {picture.with_suffix('.geojson')}")


def _file(args: argparse.Namespace, processor: Any, given: dict[str, Path]) -> AskedFile:
    file = given_file(reads_of(processor), args.model, **given)
    return asked_file(file, processor, slide_options_of(args), device=args.device)


def _lines(terminal: bool) -> Iterator[str]:
    """Yield what is typed, or the lines of a pipe, without the blanks around them."""
    if not terminal:
        yield from (line.strip() for line in sys.stdin)
        return
    with suppress(ImportError):
        import readline  # noqa: F401 - gives `input` a history and keys to edit with
    while True:
        try:
            yield input("> ").strip()
        except EOFError:
            _write("\n")
            return
        except KeyboardInterrupt:
            _write("\n")
            _say("type /quit, or Ctrl-D, to leave")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _say(text: str) -> None:
    """Print on stderr, so that a pipe reads answers alone."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
