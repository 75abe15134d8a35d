"""New tokens in a run with LoRA: saved, resumed, exported and asked, with their ids."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError

pytestmark = pytest.mark.host

TOKENS = {"add_tokens": "[GRADE],[MARGIN]", "resize_vocab": True}


@pytest.fixture(scope="module")
def trained(train_here: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Keys of a run with two new tokens and a checkpoint after each of its two steps."""
    keys = {"stage": "sft", "dataset": "answered", "save_strategy": "steps", "save_steps": 1, **TOKENS}
    keys["output_dir"] = str(tmp_path_factory.mktemp("tokens") / "out")
    train_here(**keys)
    return keys


def test_the_adapter_holds_the_new_rows_and_a_resumed_run_the_same(
    train_here: Callable[..., Any], trained: dict[str, Any], tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    out = Path(trained["output_dir"])
    whole = load_file(out / "adapter_model.safetensors")
    assert whole["base_model.model.model.embed_tokens.weight"].shape == (640, 64)
    shutil.copytree(out / "checkpoint-1", tmp_path / "out" / "checkpoint-1")
    train_here(**{**trained, "output_dir": str(tmp_path / "out")})
    resumed = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert resumed.keys() == whole.keys()
    assert all(torch.allclose(resumed[name], whole[name], atol=1e-5) for name in whole)


def test_asking_with_the_adapter_and_the_merged_model_give_one_answer(
    trained: dict[str, Any], toy: Any, pictures: Path, tmp_path: Path
) -> None:
    from llamafactory.train.tuner import export_model

    from pathplugins.commands.loading import load_model

    adapter = Path(trained["output_dir"])
    base = json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
    keys = {"model_name_or_path": base, "template": "patch_vqa_llama3", "adapter_name_or_path": str(adapter)}
    keys |= {"export_dir": str(tmp_path / "merged"), "export_device": "cpu", "infer_dtype": "float32"}
    with pytest.raises(
        PathPluginsError, match=r'640 rows .* \d+; set add_tokens: "\[GRADE\],\[MARGIN\]" and resize_vocab'
    ):
        export_model(keys)
    export_model({**keys, **TOKENS})
    answers, ids = [], []
    for loaded in (load_model(base, adapter=adapter), load_model(tmp_path / "merged")):
        inputs = loaded.processor("<image>\nWhich tissue? [GRADE]", [str(pictures / "1.png")])
        ids.append(loaded.processor.tokenizer.convert_tokens_to_ids(["[GRADE]", "[MARGIN]"]))
        answers.append(loaded.model.generate(**inputs, max_new_tokens=4, do_sample=False).tolist())
    assert ids[0] == ids[1]
    assert ids[0][0] < ids[0][1] < 640
    assert answers[0] == answers[1]
