"""Import another project's checkpoint: work in a folder beside the output, which appears whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pathplugins.core.errors import MissingDependencyError, PathPluginsError
from pathplugins.core.files import read_json, refuse_nonempty, write_json

MODEL = "model"
"""Folder of the work folder that becomes the output."""


@contextmanager
def importing(source: Path, out: Path) -> Iterator[Path]:
    """Yield a work folder beside ``out``; its folder ``model`` becomes ``out`` when the block ends well.

    Errors name the checkpoint, not where its parts lay for a moment, and the package a tokenizer needs.

    Args:
        source: the checkpoint.
        out: new directory, or an empty one.
    """
    refuse_nonempty(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        work = Path(scratch)
        try:
            yield work
        except ImportError as error:
            raise MissingDependencyError(
                f"Transformers lacks a package to read the tokenizer of {source}: "
                f"{' '.join(str(error).split())[:200]}; pip install sentencepiece protobuf"
            ) from error
        except PathPluginsError as error:
            raise type(error)(str(error).replace(str(work), str(source))) from error
        own_shards(work / MODEL)
        if out.exists():
            out.rmdir()
        (work / MODEL).rename(out)


def own_shards(model: Path) -> None:
    """Replace the links to the language model's shards by the shards, and forget where they lay."""
    for link in filter(Path.is_symlink, model.glob("llm-*.safetensors")):  # a copy is its own already
        real = link.resolve()
        link.unlink()
        real.rename(link)
    config = read_json(model / "config.json")
    config["text_config"].pop("_name_or_path", None)
    write_json(model / "config.json", config)
