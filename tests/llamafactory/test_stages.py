"""What each stage writes, and that it has trained what it says."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.host


def test_stage_2_writes_the_connector_by_its_published_names(stage2: Any) -> None:
    state = torch.load(stage2.out / "mm_projector.bin", weights_only=True)
    layers = {f"{layer}.{kind}" for layer in ("linear_1", "ln1", "linear_2", "ln2") for kind in ("weight", "bias")}
    assert state.keys() == layers | {"gamma_logit"}
    assert tuple(state["linear_1.weight"].shape) == (64, 32)
    bounds = json.loads((stage2.out / "mm_projector.json").read_text())
    assert (bounds["type"], bounds["scale_min"], bounds["scale_max"]) == ("gamma_mlp", 1.2, 1.8)


def test_stage_2_draws_its_loss_and_learns(stage2: Any) -> None:
    for name in ("training_loss.png", "training_eval_loss.png"):
        assert (stage2.out / name).read_bytes().startswith(b"\x89PNG")
    losses = list(stage2.logged("loss").values())
    assert losses[-1] < losses[0] / 2
    assert (stage2.out / "checkpoint-64" / "mm_projector.bin").is_file()


def test_stage_2_trains_the_connector_alone(toy: Any, stage2: Any) -> None:
    trained = load_file(stage2.out / "model.safetensors")
    llm = load_file(toy.llm / "model.safetensors")
    tower = torch.load(toy.tower, weights_only=True)["model"]
    before = {**llm, **{key.replace("slide_encoder.", "vision_tower."): value for key, value in tower.items()}}
    assert len(before) > 40
    assert [key for key, value in before.items() if not torch.equal(trained[key], value)] == []
    assert {key.partition(".")[0] for key in trained.keys() - before.keys()} == {"multi_modal_projector"}
    saved = torch.load(stage2.out / "mm_projector.bin", weights_only=True)
    assert torch.equal(trained["multi_modal_projector.linear_1.weight"], saved["linear_1.weight"])


def test_stage_3_adapts_language_model_and_connector(stage3: Any) -> None:
    keys = load_file(stage3.out / "adapter_model.safetensors").keys()
    adapted = {key.split(".lora_")[0].removeprefix("base_model.model.") for key in keys}
    layer = "model.layers.{}.{}"
    wanted = {layer.format(n, f"self_attn.{p}_proj") for n in (0, 1) for p in "qkvo"}
    wanted |= {layer.format(n, f"mlp.{p}_proj") for n in (0, 1) for p in ("gate", "up", "down")}
    assert adapted == wanted | {"multi_modal_projector.linear_1", "multi_modal_projector.linear_2"}
    assert not (stage3.out / "mm_projector.bin").exists(), "the connector of stage 3 is in the adapter"


def test_stage_3_starts_from_stage_2(stage2: Any, stage3: Any) -> None:
    base = Path(json.loads((stage3.out / "adapter_config.json").read_text())["base_model_name_or_path"])
    composed = load_file(base / "projector.safetensors")
    saved = torch.load(stage2.out / "mm_projector.bin", weights_only=True)
    assert torch.equal(composed["multi_modal_projector.linear_1.weight"], saved["linear_1.weight"])
    assert torch.equal(composed["multi_modal_projector.scale_logit"], saved["gamma_logit"])


EVAL = """
model_name_or_path: {model}
coords_mpp: 0.5                # a key of ours on a finished directory: a view of it
do_sanity_check: true
stage: sft
do_eval: true
{mode}
finetuning_type: full
dataset_dir: {data}
eval_dataset: val_vqa
template: custom_vqa_llama3
cutoff_len: 512
output_dir: {out}
per_device_eval_batch_size: 24
dataloader_drop_last: true
report_to: none
"""
"""64 samples are no whole number of batches: the last one counts, as ``dataloader_drop_last`` is for training."""


def test_merged_model_evaluates_without_training(
    run: Callable[..., Any], toy: Any, merged: Path, stage3: Any, tmp_path: Path
) -> None:
    (tmp_path / "eval.yaml").write_text(EVAL.format(model=merged, data=toy.data, out=tmp_path / "out", mode=""))
    run("train", tmp_path / "eval.yaml", {})
    results = json.loads((tmp_path / "out" / "eval_results.json").read_text())
    assert results["eval_loss"] == pytest.approx(stage3.logged("eval_loss")[64], abs=1e-3)
    assert results["eval_sanity_check_loss"] > 0.3


def test_merged_model_predicts(run: Callable[..., Any], toy: Any, merged: Path, tmp_path: Path) -> None:
    missing = [name for name in ("jieba", "nltk", "rouge_chinese") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"predict_with_generate of LLaMA-Factory needs {', '.join(missing)}")
    mode = "do_predict: true\npredict_with_generate: true\nmax_new_tokens: 16"
    (tmp_path / "eval.yaml").write_text(EVAL.format(model=merged, data=toy.data, out=tmp_path / "out", mode=mode))
    run("train", tmp_path / "eval.yaml", {})
    metrics = json.loads((tmp_path / "out" / "all_results.json").read_text())
    assert metrics["eval_rouge-1"] > 95 > metrics["eval_sanity_check_rouge-1"]
    lines = (tmp_path / "out" / "generated_predictions.jsonl").read_text().splitlines()
    answers = [json.loads(line) for line in lines]
    assert len(answers) == 64
    assert sum(answer["predict"].strip() == answer["label"].strip() for answer in answers) >= 61
