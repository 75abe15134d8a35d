"""The directory of a LoRA run of LLaVA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import write_json
from pathplugins.models.foreign.wsi_llava.adapter import is_adapter, read_adapter

MODULE = "base_model.model.model.layers.0.self_attn.q_proj"


def write(folder: Path, **settings: Any) -> Path:
    said = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "base_model_name_or_path": "llava-v1.5-7b"}
    write_json(folder / "adapter_config.json", {**said, **settings})
    lora = {f"{MODULE}.lora_A.weight": torch.ones(4, 6), f"{MODULE}.lora_B.weight": torch.ones(5, 4)}
    torch.save(lora, folder / "adapter_model.bin")
    torch.save({"base_model.model.model.mm_projector.0.bias": torch.ones(3)}, folder / "non_lora_trainables.bin")
    return folder


def test_what_it_holds(tmp_path: Path) -> None:
    assert not is_adapter(tmp_path)
    found = read_adapter(write(tmp_path))
    assert is_adapter(tmp_path)
    assert ([*found.pairs], found.scale, found.rank) == (["model.layers.0.self_attn.q_proj"], 2, 4)
    assert (found.leaves, found.base) == (("q_proj",), "llava-v1.5-7b")
    assert [*found.beside] == ["base_model.model.model.mm_projector.0.bias"]


@pytest.mark.parametrize(
    ("settings", "scale", "leaves"),
    [
        ({"use_rslora": True}, 4, ("q_proj",)),
        ({"target_modules": "all-linear"}, 2, None),
        ({"target_modules": ["layers.0.self_attn.q_proj"], "lora_alpha": 3}, 0.75, ("q_proj",)),
    ],
)
def test_settings_of_peft(tmp_path: Path, settings: dict[str, Any], scale: float, leaves: Any) -> None:
    found = read_adapter(write(tmp_path, **settings))
    assert (found.scale, found.leaves) == (scale, leaves)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use_dora": True}, "use_dora is True"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"r": 8}, r"rank \[4\], adapter_config.json says 8"),
        ({"lora_alpha": None}, "lora_alpha None"),
    ],
)
def test_other_kinds_are_refused(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        read_adapter(write(tmp_path, **settings))


@pytest.mark.parametrize("name", ["adapter_model.bin", "non_lora_trainables.bin"])
def test_missing_files_are_named(tmp_path: Path, name: str) -> None:
    (write(tmp_path) / name).unlink()
    with pytest.raises(CheckpointError, match=f"no .*{name}"):
        read_adapter(tmp_path)
