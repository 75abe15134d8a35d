"""The Trainer on pictures: accumulation, order after a resume, metrics of every picture, what else is logged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import TrainingArguments

from pathplugins.classify.drawn import draw_pcam200
from pathplugins.classify.pictures import EVAL, BatchAugment, PatchDataset
from pathplugins.classify.recipes import RECIPES
from pathplugins.classify.trainer import PatchTrainer
from pathplugins.data.patch_sets import PatchSet, read_patch_set

SIZE = 8


class Linear(nn.Module):
    """A classifier without an encoder, whose gradient is the mean of those of its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * SIZE * SIZE, 2)
        nn.init.zeros_(self.head.weight)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.head(pixels.flatten(1))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> PatchSet:
    return read_patch_set(draw_pcam200(tmp_path_factory.mktemp("d") / "PCam200", cases=(2, 1, 1), patches=3, side=16))


def trainer(out: Path, pictures: PatchSet, **values: object) -> PatchTrainer:
    args = TrainingArguments(
        **{
            "output_dir": str(out),
            "use_cpu": True,
            "report_to": "none",
            "optim": "sgd",
            "learning_rate": 0.1,
            "max_steps": 2,
            "logging_steps": 1,
            "save_strategy": "no",
            "disable_tqdm": True,
            "max_grad_norm": 0.0,
            "per_device_train_batch_size": 4,
            "dataloader_pin_memory": False,
            "seed": 3,
            **values,
        }
    )
    torch.manual_seed(0)
    return PatchTrainer(
        Linear(),
        args,
        recipe=RECIPES["supervised"],
        train=PatchDataset(pictures.part("train"), size=SIZE, augment=EVAL),
        valid=PatchDataset(pictures.part("valid"), size=SIZE),
        classes=2,
        augment=BatchAugment(mean=(0.5,) * 3, std=(0.5,) * 3),
    )


def test_accumulated_batches_are_one_large_batch(tmp_path: Path, pictures: PatchSet) -> None:
    whole = trainer(tmp_path, pictures)
    parts = trainer(tmp_path, pictures, per_device_train_batch_size=2, gradient_accumulation_steps=2)
    whole.train()
    parts.train()
    torch.testing.assert_close(parts.model.head.weight, whole.model.head.weight)
    assert whole.model.head.weight.abs().max() > 0
    losses = [[step["loss"] for step in each.state.log_history if "loss" in step] for each in (whole, parts)]
    assert losses[1] == pytest.approx(losses[0], abs=2e-4)  # older Trainers round to four digits
    shown = [step["accuracy"] for step in parts.state.log_history if "accuracy" in step]
    assert [round(4 * value) / 4 for value in shown] == pytest.approx(shown)


def test_every_picture_is_scored_once(tmp_path: Path, pictures: PatchSet) -> None:
    trained = trainer(tmp_path, pictures, per_device_eval_batch_size=4)
    found = trained.evaluate()
    with torch.no_grad():
        part = pictures.part("valid")
        samples = [PatchDataset(part, size=SIZE)[index] for index in range(len(part))]
        pixels = torch.stack([sample["pixels"] for sample in samples]).float() / 127.5 - 1
        logits = trained.model(pixels)
        labels = torch.stack([sample["labels"] for sample in samples])
    assert len(labels) == 6
    assert found["eval_accuracy"] == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    assert found["eval_loss"] == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), abs=1e-5)


def test_a_resumed_run_goes_on_with_the_next_pictures_of_its_epoch(tmp_path: Path, pictures: PatchSet) -> None:
    """Seven steps of three an epoch, stopped after five: in the middle of the second epoch."""
    kept = {"save_strategy": "steps", "save_steps": 5, "max_steps": 7, "lr_scheduler_type": "constant"}
    whole = trainer(tmp_path / "a", pictures, **kept)
    whole.train()
    again = trainer(tmp_path / "a", pictures, **kept)
    again.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-5"))
    torch.testing.assert_close(again.model.head.weight, whole.model.head.weight, rtol=0, atol=0)
    losses = [
        {step["step"]: step["loss"] for step in each.state.log_history if "loss" in step} for each in (whole, again)
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 7
