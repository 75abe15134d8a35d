"""Tokenizer files every supported Transformers can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.custom_llava.tokenizer_files import copy_tokenizer_file, is_tokenizer_file, make_portable


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


def test_what_stands_in_place_of_a_file_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name, content, said in (
        (
            "tokenizer.model",
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            r"\.model is a Git-LFS pointer",
        ),
        ("tokenizer.json", " <!DOCTYPE html><html>", r"\.json is a web page, as of a login, .* accept the terms"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(CheckpointError, match=said):
            copy_tokenizer_file(tmp_path / name, tmp_path / "out")
    (tmp_path / "vocab.txt").write_text("a\n")
    copy_tokenizer_file(tmp_path / "vocab.txt", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["vocab.txt"]
