"""Cases of several slides in XTuner: ids, labels and rows as described, markers in the model, too many slides named."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pathosyn_reference as reference
import pytest
from slidechat_reference import tiny_qwen, wide

from pathplugins.core.errors import BadSamplesError
from pathplugins.xtuner.collate import collate
from pathplugins.xtuner.datasets import PathologyDataset
from pathplugins.xtuner.model import PathologyLLaVAModel
from pathplugins.xtuner.optim import adamw_by_module
from pathplugins.xtuner.parts import load_model

pytestmark = pytest.mark.host

WIDTH = 6
ROWS = (4, 9, 2)
SYSTEM = "Look."


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    llm = tiny_qwen(tmp_path_factory.mktemp("llm") / "llm", [reference.CASE], model_type="qwen2")
    return {
        **{"llm": str(llm), "vision_model_name": "features", "vision_config": {"feature_dim": WIDTH}},
        **{"mm_projector_type": "norm_mlp", "projector_config": {"slide_markers": True, "max_slides": 2}},
        **{"vision_feature_select_mode": "none", "patches_sampling": "first", "patches_per_case": 8},
    }


@pytest.fixture
def make(parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PathologyDataset]:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))
    for name, rows in zip("abc", ROWS, strict=True):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["features/conch_x"] = np.random.default_rng(rows).standard_normal((rows, WIDTH)).astype(np.float32)

    def make(*cases: str, **options: Any) -> PathologyDataset:
        rows = [[cell, f"case {n}", "Report.", reference.CASE] for n, cell in enumerate(cases)]
        with (tmp_path / "cases.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["h5_path", "slide_id", "question", "answer"], *rows])
        usual = {"data_path": str(tmp_path / "cases.csv"), "format": "wsi_csv", "prompt_template": "pathosyn_qwen"}
        return PathologyDataset(**{**usual, "model": parts, "system": SYSTEM, **options})

    return make


def test_a_case_is_as_described(make: Callable[..., PathologyDataset], parts: dict[str, Any]) -> None:
    dataset = make("a.h5;b.h5", "c.h5")
    tokenizer = dataset.processor.tokenizer
    for item, slides, tokens in zip([dataset[0], dataset[1]], (2, 1), ([1 + 4, 1 + 4], [1 + 2]), strict=True):
        turns = [("<image>" * slides + "\nReport.", reference.CASE)]
        ids, labels = reference.ids_and_labels(
            turns, lambda text: tokenizer(text, add_special_tokens=False)["input_ids"], system=SYSTEM
        )
        wanted = wide(ids, labels, tokens, dataset.processor.image_token_id)
        assert (item["input_ids"], item["labels"]) == wanted
    data = collate([dataset[0], dataset[1]], parts)["data"]
    assert data["patch_counts"].tolist() == [4, 4, 2]
    assert load_model(parts)(**data).loss.isfinite()


def test_too_many_slides_are_named_before_training(make: Callable[..., PathologyDataset]) -> None:
    with pytest.raises(BadSamplesError, match=r"(?s)1 x too many slides.*a sample has 3 slides, .* markers for 2"):
        make("a.h5;b.h5;c.h5", "c.h5")
    assert make("a.h5;b.h5;c.h5", "c.h5", on_bad_sample="skip").left_out == 1


def test_each_kind_of_weights_has_its_rate(parts: dict[str, Any]) -> None:
    """LoRA and the language model under it are both trained, and both are in a checkpoint."""
    joint = {**parts, "joint_lora": {"rank": 3, "alpha": 6, "target": ["q_proj"]}}
    model = PathologyLLaVAModel(
        {"type": load_model, "model": joint},
        freeze_llm=False,
        lr_mult={"joint_lora": 4, "multi_modal_projector": 20},
        use_activation_checkpointing=False,
    )
    rates = {}
    for group in adamw_by_module(model.parameters(), lr=5e-6, weight_decay=0.01).param_groups:
        rates.update({id(weight): group["lr"] for weight in group["params"]})
    found = {name: rates[id(weight)] for name, weight in model.named_parameters() if weight.requires_grad}
    for name, rate in found.items():
        factor = 4 if ".joint_lora." in name else 20 if "multi_modal_projector" in name else 1
        assert rate == pytest.approx(5e-6 * factor), name
    assert set(model.state_dict()) == set(found)
    assert any(name.endswith("q_proj.joint_lora.up") for name in found)
    assert any(name.endswith("q_proj.weight") for name in found)
