"""Tokenizer files every supported Transformers can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.files import read_json, write_json
from pathplugins.models.custom_llava.tokenizer_files import is_tokenizer_file, make_portable


def test_what_version_5_writes_becomes_what_4_reads(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer_config.json"
    written = {"tokenizer_class": "TokenizersBackend", "extra_special_tokens": ["<b>"], "eos_token": "</s>"}
    write_json(path, {**written, "additional_special_tokens": ["<a>"]})
    make_portable(tmp_path)
    wanted = {"tokenizer_class": "PreTrainedTokenizerFast", "additional_special_tokens": ["<a>", "<b>"]}
    assert read_json(path) == {**wanted, "eos_token": "</s>"}


def test_what_version_4_writes_stays(tmp_path: Path) -> None:
    written = {"tokenizer_class": "LlamaTokenizer", "extra_special_tokens": {"image_token": "<i>"}}
    write_json(tmp_path / "tokenizer_config.json", written)
    make_portable(tmp_path)
    assert read_json(tmp_path / "tokenizer_config.json") == written


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("tokenizer.json", True),
        ("tokenizer.model", True),
        ("chat_template.jinja", True),
        ("merges.txt", True),
        ("README.md", False),
        ("config.json", False),
        ("training_args.bin", False),
    ],
)
def test_tokenizer_files_are_told_from_others(tmp_path: Path, name: str, known: bool) -> None:
    (tmp_path / name).write_text("{}")
    assert is_tokenizer_file(tmp_path / name) is known
    assert not is_tokenizer_file(tmp_path)
