"""The configuration of ANTONI-Alpha: its keys become our options, and what cannot be merged is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import write_json
from pathplugins.models.connectors.latent_queries import LatentQueriesConnector
from pathplugins.models.foreign.antoni_alpha.settings import read_settings


def test_defaults_are_those_of_the_published_class(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"model_type": "antoni_alpha"})
    found = read_settings(tmp_path)
    assert found.projector == {
        "num_queries": 256,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "ffn_width": None,
        "dropout": 0.0,
    }
    assert (found.scale, found.rank, found.leaves) == (1.0, 16, None)
    assert found.saved == ("lm_head", "embed_tokens")
    LatentQueriesConnector(16, 16, **found.projector)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, r"holds no config\.json"),
        ({"model_type": "llava"}, "model_type is 'llava'"),
        ({"model_type": "antoni_alpha", "lora_bias": "all"}, "lora_bias is 'all'"),
        ({"model_type": "antoni_alpha", "lora_r": 0}, "lora_r is 0"),
    ],
)
def test_refuses_what_it_cannot_read(tmp_path: Path, config: dict[str, Any] | None, message: str) -> None:
    if config is not None:
        write_json(tmp_path / "config.json", config)
    with pytest.raises(CheckpointError, match=message):
        read_settings(tmp_path)
