"""Adapters with a larger vocabulary than the model they go on."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.new_tokens import embedding_rows, new_tokens, take_over


def folder(path: Path, tokens: list[tuple[str, bool]] | None, rows: int | None = None) -> Path:
    """Return a directory with a tokenizer of these added tokens, and an adapter with so many rows."""
    path.mkdir()
    if tokens is not None:
        added = [{"id": 10 + n, "content": name, "special": special} for n, (name, special) in enumerate(tokens)]
        (path / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    weights = {"base_model.model.model.layers.0.lora_A.weight": torch.zeros(2, 4)}
    if rows is not None:
        weights["base_model.model.model.embed_tokens.weight"] = torch.zeros(rows, 4)
    save_file(weights, path / "adapter_model.safetensors")
    return path


def test_what_an_adapter_brings(tmp_path: Path) -> None:
    model = folder(tmp_path / "model", [("<image>", True)])
    plain = folder(tmp_path / "plain", [("<image>", True)])
    grown = folder(tmp_path / "grown", [("<image>", True), ("[GRADE]", False), ("[END]", True)], rows=96)
    assert embedding_rows(plain) is None
    assert embedding_rows(tmp_path) is None
    assert embedding_rows(grown) == 96
    assert new_tokens(plain, model) == ([], [])
    assert new_tokens(grown, model) == (["[GRADE]"], ["[END]"])


def test_an_adapter_without_its_tokenizer_is_refused(tmp_path: Path) -> None:
    model = SimpleNamespace(get_input_embeddings=lambda: torch.nn.Embedding(64, 4))
    take_over(model, None, folder(tmp_path / "plain", None))
    take_over(model, None, folder(tmp_path / "same", None, rows=64))
    with pytest.raises(PathPluginsError, match=r"new tokens \(96 rows in its embedding\) and has no tokenizer.json"):
        take_over(model, None, folder(tmp_path / "grown", None, rows=96))
