"""Stages beyond sft: what is asked for happens, on pictures of two colours."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from transformers import TrainingArguments

from pathplugins.core.errors import BadSamplesError

pytestmark = pytest.mark.host


def losses(history: list[dict[str, Any]], key: str = "loss") -> list[float]:
    """Return what was logged under a key, step by step."""
    return [entry[key] for entry in history if key in entry]


@pytest.mark.parametrize(
    ("stage", "dataset", "more"),
    [
        ("dpo", "preferred", {}),
        ("dpo", "preferred", {"pref_loss": "orpo"}),
        ("kto", "marked", {}),
        ("rm", "preferred", {}),
    ],
    ids=["dpo", "orpo", "kto", "rm"],
)
def test_a_stage_learns_at_the_rates_that_are_asked_for(
    train_here: Callable[..., Any], stage: str, dataset: str, more: dict[str, Any]
) -> None:
    keys = {"stage": stage, "dataset": dataset, "max_steps": 3, **more}
    whole = losses(train_here(**keys))
    parts = ("lora", "multi_modal_projector", *(("v_head",) if stage == "rm" else ()))
    nearly_frozen = losses(train_here(**keys, lr_mult=dict.fromkeys(parts, 1e-6)))
    assert len(whole) == len(nearly_frozen) == 3
    assert whole[0] == pytest.approx(nearly_frozen[0], abs=1e-5)
    assert abs(whole[2] - nearly_frozen[2]) > 1e-2


def test_scores_are_those_of_the_last_tokens_whatever_the_selector_leaves_out(
    train_here: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.nn.Dropout.forward", lambda self, x: x)  # the value head's, which nothing sets
    keys = {
        "stage": "rm",
        "dataset": "preferred",
        "eval_dataset": "preferred",
        "eval_strategy": "steps",
        "learning_rate": 0.0,
    }
    keys |= {"per_device_train_batch_size": 6, "per_device_eval_batch_size": 6, "eval_steps": 1, "max_steps": 1}
    history = train_here(**keys, vision_feature_select_mode="prumerge_adaptive")
    trained, [judged] = losses(history), losses(history, "eval_loss")
    assert trained[0] == pytest.approx(judged, abs=6e-5)  # older Transformers log four decimals


def test_samples_that_are_cut_are_named_before_the_first_step(train_here: Callable[..., Any]) -> None:
    with pytest.raises(BadSamplesError, match=r"6 samples do not fit cutoff_len 10: .*\n.*train sample 0: "):
        train_here(stage="dpo", dataset="preferred", cutoff_len=10)


def test_evaluation_keeps_its_order_and_every_sample(train_here: Callable[..., Any]) -> None:
    keys = {
        "stage": "sft",
        "dataset": "answered",
        "eval_dataset": "answered",
        "eval_strategy": "steps",
        "learning_rate": 0.0,
    }
    keys |= {"per_device_eval_batch_size": 4, "eval_steps": 1, "max_steps": 1}
    plain = losses(train_here(**keys), "eval_loss")
    assert len(plain) == 1
    newer = "train_sampling_strategy" in {field.name for field in fields(TrainingArguments)}
    by_length = {"train_sampling_strategy": "group_by_length"} if newer else {"group_by_length": True}
    grouped = losses(train_here(**keys, **by_length, dataloader_drop_last=True), "eval_loss")
    assert grouped == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize(("stage", "dataset"), [("dpo", "preferred"), ("kto", "marked")])
def test_half_a_picture_is_named_before_the_first_step(
    train_here: Callable[..., Any], pictures: Path, tmp_path: Path, stage: str, dataset: str
) -> None:
    rows = json.loads((pictures / f"{dataset}.json").read_text())
    rows[3]["images"] = [str(tmp_path / "half.png")]
    Image.effect_noise((200, 90), 80).save(tmp_path / "half.png")
    whole = (tmp_path / "half.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / f"{dataset}.json").write_text(json.dumps(rows))
    (tmp_path / "dataset_info.json").write_text((pictures / "dataset_info.json").read_text())
    with pytest.raises(BadSamplesError, match=r"half\.png") as refused:
        train_here(stage=stage, dataset=dataset, dataset_dir=str(tmp_path))
    assert "or set on_bad_sample: skip" in str(refused.value)
    logged = train_here(stage=stage, dataset=dataset, dataset_dir=str(tmp_path), on_bad_sample="skip")
    assert len(losses(logged)) == 2
