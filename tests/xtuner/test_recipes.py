"""One recipe, two trainers: the shipped configs of both set every group of the optimizer alike."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mmengine.config import Config

from pathplugins.commands.configs import folder
from pathplugins.published.systems import SYSTEMS

pytestmark = pytest.mark.host

PAIRS = {
    "pallava_domain_alignment": "pallava_alignment",
    "pallava_instruction_tuning": "pallava_instruction",
    "pathgen_phase1": "pathgen_phase1",
    "pathgen_phase2": "pathgen_phase2",
    "ptcga200_vqa": "ptcga200_vqa",
    "quilt_pretrain": "quilt_pretrain",
    "quilt_instruct": "quilt_instruct",
    "slidechat_stage1": "slidechat_stage1",
    "slidechat_stage2": "slidechat_stage2",
    "wsi_llava_official": "wsi_llava_official",
    "wsi_llava_stage2": "wsi_llava_stage2",
    "wsi_llava_stage3": "wsi_llava_stage3",
}
"""Config of XTuner -> the one of LLaMA-Factory."""
ADAMW = {name: p.default for name, p in inspect.signature(torch.optim.AdamW).parameters.items()}

TABLE: dict[str, tuple[Any, ...]] = {
    # rate, rates of parts, decay, warm-up, ends at, precision, samples on a process, batches a step, epochs
    "pallava_domain_alignment": (1e-4, {}, 0, 0.03, 0, "float16", 6, 6, 9),
    "pallava_instruction_tuning": (2e-4, {"multi_modal_projector": 0.5}, 0, 0.03, 1e-6, "float16", 6, 4, 12),
    "pathgen_phase1": (1e-3, {}, 0, 0.03, 0, "bfloat16", 32, 1, 1),
    "pathgen_phase2": (2e-5, {}, 0, 0.03, 0, "bfloat16", 16, 1, 1),
    "ptcga200_vqa": (2e-5, {"multi_modal_projector": 50}, 0, 0.03, 0, "bfloat16", 16, 1, 1),
    "quilt_pretrain": (1e-3, {}, 0, 0.03, 0, "bfloat16", 32, 1, 1),
    "quilt_instruct": (2e-5, {}, 0, 0.03, 0, "bfloat16", 16, 1, 1),
    "slidechat_stage1": (1e-3, {}, 0, 0, 0, "float16", 1, 8, 5),
    "slidechat_stage2": (2e-5, {}, 0, 0, 0, "float16", 1, 8, 2),
    "wsi_llava_official": (2e-4, {"multi_modal_projector": 0.1}, 0, 0.03, 0, "bfloat16", 32, 4, 3),
    "wsi_llava_stage2": (1e-3, {}, 0.03, 0, 0, "bfloat16", 1, 16, 10),
    "wsi_llava_stage3": (2e-5, {"lora_B": 10}, 0.05, 0.1, 0, "bfloat16", 2, 8, 10),
}


def of_xtuner(name: str) -> dict[str, Any]:
    cfg = Config.fromfile(folder("xtuner") / f"{name}.py")
    wrapper, (*warm, cosine) = cfg.optim_wrapper, cfg.param_scheduler
    optimizer = {**ADAMW, **wrapper.optimizer}
    epochs = cfg.train_cfg.max_epochs
    assert cosine.type.__name__ == "CosineAnnealingLR"
    assert (cosine.end, cosine.begin) == (epochs, warm[0].end if warm else 0)
    assert wrapper.dtype in ("float16", "bfloat16")
    assert wrapper.loss_scale == ("dynamic" if wrapper.dtype == "float16" else 1.0)
    return {
        "rate": optimizer["lr"],
        "rates of parts": dict(cfg.model.get("lr_mult") or {}),
        "weight decay": optimizer["weight_decay"],
        "warm-up": round(warm[0].end / epochs, 6) if warm else 0,
        "ends at": cosine.eta_min,
        "precision": wrapper.dtype,
        "samples on a process": cfg.train_dataloader.batch_size,
        "batches a step": wrapper.accumulative_counts,
        "epochs": epochs,
        "betas": tuple(optimizer["betas"]),
        "eps": optimizer["eps"],
        "clipped at": wrapper.clip_grad.max_norm,
    }


def of_llamafactory(name: str) -> dict[str, Any]:
    """What a YAML says, with the defaults of Transformers' ``TrainingArguments``."""
    said = yaml.safe_load((folder("llamafactory") / f"{name}.yaml").read_text())
    schedule = said["lr_scheduler_type"]
    assert schedule in ("cosine", "cosine_with_min_lr")
    parts = dict(said.get("lr_mult") or {})
    if ratio := said.get("loraplus_lr_ratio"):
        parts["lora_B"] = ratio
    return {
        "rate": said["learning_rate"],
        "rates of parts": parts,
        "weight decay": said["weight_decay"],
        "warm-up": said.get("warmup_ratio", 0),
        "ends at": said.get("lr_scheduler_kwargs", {}).get("min_lr", 0),
        "precision": "float16" if said.get("fp16") else "bfloat16" if said.get("bf16") else "float32",
        "samples on a process": said["per_device_train_batch_size"],
        "batches a step": said["gradient_accumulation_steps"],
        "epochs": said["num_train_epochs"],
        "betas": (said.get("adam_beta1", 0.9), said.get("adam_beta2", 0.999)),
        "eps": said.get("adam_epsilon", 1e-8),
        "clipped at": said.get("max_grad_norm", 1.0),
    }


def test_all_recipes_are_compared() -> None:
    ours = {path.stem for path in Path(folder("xtuner")).glob("*.py")} - {"pathology_base"}
    theirs = {path.stem for path in Path(folder("llamafactory")).glob("*.yaml")}
    assert {name for name in ours if "smoke" not in name} == set(PAIRS) == set(TABLE)
    alone = ("_export", "_infer", "_predict", "_dpo")  # trains nothing, or what XTuner has no stage for
    only_there = {Path(name).stem for system in SYSTEMS if not system.xtuner for name in system.llamafactory}
    assert {name for name in theirs - only_there if not name.endswith(alone)} == set(PAIRS.values())


@pytest.mark.parametrize("name", PAIRS)
def test_both_trainers_train_alike(name: str) -> None:
    ours, theirs = of_xtuner(name), of_llamafactory(PAIRS[name])
    assert ours == theirs
    assert tuple(ours.values())[: len(TABLE[name])] == TABLE[name]
    assert (ours["betas"], ours["eps"], ours["clipped at"]) == ((0.9, 0.999), 1e-8, 1)
