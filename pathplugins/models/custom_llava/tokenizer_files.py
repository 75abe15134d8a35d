"""Tokenizer files: which they are, and how every supported Transformers version can read them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError
from pathplugins.core.file_heads import stand_in
from pathplugins.core.files import read_json, write_json

NAMES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
)


def is_tokenizer_file(path: Path) -> bool:
    """Return whether a tokenizer is read from this file of a model directory."""
    return path.is_file() and (path.suffix in (".model", ".jinja") or path.name in NAMES)


def copy_tokenizer_file(path: Path, folder: Path) -> None:
    """Copy a file of a tokenizer; refuse what stands in place of one, of which Transformers says nothing to act on."""
    with path.open("rb") as file:
        said = stand_in(file.read(512))
    if said:
        raise CheckpointError(f"{path} {said}")
    shutil.copyfile(path, folder / path.name)


def make_portable(folder: Path) -> None:
    """Rewrite what Transformers 5 writes and 4.x cannot read: its tokenizer class, and special tokens as a list."""
    path = folder / "tokenizer_config.json"
    config = read_json(path)
    extra = config.get("extra_special_tokens")
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"  # reads the same tokenizer.json
    if isinstance(extra, list):
        config["additional_special_tokens"] = [*config.get("additional_special_tokens", []), *extra]
        del config["extra_special_tokens"]
    write_json(path, config)


def without_token(folder: Path, token: str) -> None:
    """Take an added token out of every tokenizer file that holds it."""
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        path = folder / name
        if not path.is_file():
            continue
        settings = read_json(path)
        settings.pop(token, None)  # of added_tokens.json
        for key in ("added_tokens", "additional_special_tokens", "extra_special_tokens"):
            if isinstance(settings.get(key), list):
                settings[key] = [entry for entry in settings[key] if _content(entry) != token]
        if decoder := settings.get("added_tokens_decoder"):
            settings["added_tokens_decoder"] = {i: entry for i, entry in decoder.items() if _content(entry) != token}
        write_json(path, settings)


def _content(entry: Any) -> Any:
    return entry.get("content") if isinstance(entry, dict) else entry
