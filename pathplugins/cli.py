"""The ``pathplugins`` command; each subcommand is imported when it is asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from pathplugins import __version__
from pathplugins.core.command_line import Parser, output_of
from pathplugins.core.disks import refusals_in_words
from pathplugins.core.errors import HostDriftError, MissingDependencyError, PathPluginsError

COMMANDS: dict[str, tuple[str, str]] = {
    "doctor": ("pathplugins.commands.doctor", "what is installed, what is registered, what is wrong"),
    "configs": ("pathplugins.commands.configs", "list and copy the configurations that come with the package"),
    "systems": (
        "pathplugins.commands.systems",
        "the published systems that train here: papers, weights, licences, files",
    ),
    "towers": (
        "pathplugins.commands.towers",
        "the vision towers, and the eyes for images: tokens, width, licence, how a YAML names each",
    ),
    "compose": ("pathplugins.commands.compose", "language model + tower + connector -> one checkpoint"),
    "import-weights": (
        "pathplugins.commands.import_weights",
        "weights of OpenCLIP or LLaVA -> a directory that trains here",
    ),
    "export-weights": (
        "pathplugins.commands.export_weights",
        "a model -> a checkpoint of LLaVA or of Transformers' LLaVA",
    ),
    "validate": (
        "pathplugins.commands.validate",
        "check a configuration before a GPU is taken: keys, files, data, names, outputs",
    ),
    "preprocess": ("pathplugins.xtuner.preprocess", "tokenize the data of an XTuner config once, for many runs"),
    "export": ("pathplugins.xtuner.export", "a checkpoint of XTuner -> one Hugging Face directory"),
    "ask": ("pathplugins.commands.ask", "put questions about one slide, image or feature bag to a model"),
    "chat": ("pathplugins.commands.chat", "talk with a model about a slide, image or feature bag"),
    "bag": ("pathplugins.commands.bag", "a slide -> the feature bag that a model reads, made once and kept"),
    "get-viewer": (
        "pathplugins.commands.get_viewer",
        "fetch the slide viewer of the page of `serve`, once",
    ),
    "explain": ("pathplugins.commands.explain", "draw where a model looked while it said an answer, for QuPath too"),
    "serve": ("pathplugins.commands.serve", "answer many at once over the network, as OpenAI's interface does"),
    "select": ("pathplugins.commands.select", "draw which patches of a slide a token selector keeps, and their scores"),
    "evaluate": ("pathplugins.commands.evaluate", "ask a model every question of a test set and score the answers"),
    "ablate": ("pathplugins.commands.ablate", "the same questions without their pictures: do answers come from there?"),
    "report": ("pathplugins.commands.report", "results of evaluate and ablate -> one page that opens offline"),
    "classify": (
        "pathplugins.commands.classify",
        "train patch encoders on labelled patches, and score them",
    ),
    "demo": (
        "pathplugins.commands.demo",
        "train and ask a tiny model on CPU: `demo` (slides), `demo pallava` (images)",
    ),
}
"""Name -> (module with ``add_arguments(parser)`` and ``run(args) -> int``, help)."""


def build_parser(wanted: str | None) -> Parser:
    """Build the parser; only the subcommand ``wanted`` is imported and knows its options."""
    parser = Parser(prog="pathplugins", description="Pathology models in an unmodified trainer.")
    parser.add_argument("--version", action="version", version=f"pathplugins {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == wanted:
            importlib.import_module(module).add_arguments(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an error the user can act on is one line and code 2."""
    words = list(sys.argv[1:] if argv is None else argv)
    wanted = next((word for word in words if not word.startswith("-")), None)
    try:
        args = build_parser(wanted).parse_args(words)
        with refusals_in_words(output_of(args)):
            return importlib.import_module(COMMANDS[args.command][0]).run(args)
    except (PathPluginsError, MissingDependencyError, HostDriftError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
