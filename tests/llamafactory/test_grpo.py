"""The GRPO script: rewards are of answers to questions about bags that the model has seen, and it learns from them."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.host

SCRIPT = Path(__file__).resolve().parents[2] / "llamafactory_configs" / "grpo.py"


@pytest.fixture(scope="module")
def grpo() -> Any:
    import llamafactory.extras.packages  # noqa: F401 - before TRL, as in the script

    pytest.importorskip("trl", minversion="0.24")
    spec = importlib.util.spec_from_file_location("grpo_example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trained(grpo: Any, toy: Any, bag_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two steps on two bags; what reached the tower with which question, and the trainer."""
    folder = tmp_path_factory.mktemp("grpo")
    bags = [toy.bag(f"grpo{number}", number, rows=9 + number) for number in range(2)]
    with (folder / "train.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["h5_path", "caption", "question", "answer", "slide_id", "dataset", "choices"])
        writer.writeheader()
        for number, bag in enumerate(bags):
            row = {"h5_path": bag, "question": f"Which of slide {number}?", "answer": "A) x", "choices": "['x', 'y']"}
            writer.writerow({**row, "caption": "c", "slide_id": bag.stem, "dataset": "toy"})
    seen: list[tuple[list[int], int]] = []
    whole = grpo.PathologyGRPOTrainer.__init__

    def watching(self: Any, *, model: Any, **options: Any) -> None:
        whole(self, model=model, **options)

        def note(core: Any, args: Any, inputs: dict[str, Any]) -> None:
            if inputs.get("patch_counts") is not None:
                for ids, count in zip(inputs["input_ids"].tolist(), inputs["patch_counts"].tolist(), strict=True):
                    seen.append((ids, count))

        model.register_forward_pre_hook(note, with_kwargs=True)

    judge, judged = grpo.right, []

    def right(completions: list[str], **columns: Any) -> list[float]:
        """Tell apart answers that are all wrong, as those of a model that has learnt nothing are."""
        rewards = judge(completions, **columns)
        judged.extend(zip(columns["question"], completions, rewards, strict=True))
        return [reward + 0.01 * place for place, reward in enumerate(rewards)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpo.PathologyGRPOTrainer, "__init__", watching)
        patch.setattr(grpo, "right", right)
        words = [bag_model, folder / "train.csv", "--out", folder / "out", "--steps", 2, "--generations", 4]
        trainer = grpo.main([*map(str, words), "--max-new-tokens", "4", "--learning-rate", "1e-2"])
    assert len(judged) == 2 * 4
    assert {reward for _, _, reward in judged} <= {0.0, 1.0}
    assert all("A) x\nB) y" in asked for asked, _, _ in judged)
    return trainer, seen, folder / "out"


def test_every_answer_is_about_the_bag_of_its_question(trained: Any) -> None:
    trainer, seen, _ = trained
    tokenizer = trainer.processing_class.tokenizer
    assert len(seen) >= 2 * 4 * 2, "four answers in two steps, written and judged"
    asked = {(tokenizer.decode(ids).count("slide 1"), count) for ids, count in seen}
    assert asked <= {(0, 9), (1, 10)}
    assert asked
    lengths = {len(ids) for ids, _ in seen}
    assert len(lengths) > 1, "with the answer where it is judged"


def test_rewards_are_computed_and_an_adapter_is_written(grpo: Any, trained: Any) -> None:
    trainer, _, out = trained
    logged = [line for line in trainer.state.log_history if "rewards/right/mean" in line]
    assert len(logged) == 2
    assert all(line["rewards/right/mean"] >= 0.015 - 1e-6 for line in logged)
    weights = load_file(out / "adapter_model.safetensors")
    assert max(float(value.abs().max()) for name, value in weights.items() if "lora_B" in name) > 1e-3, "it has learnt"
    assert json.loads((out / "adapter_config.json").read_text())["r"] == 32
    asked = ["Which?\nA) tumor\nB) stroma"] * 4
    said = ["A) tumor", "the answer is A", "stroma", "?"]
    rewards = grpo.right(said, question=asked, answer=["A) tumor"] * 4, task=["choices"] * 4)
    assert rewards == [1.0, 1.0, 0.0, 0.0]
    assert grpo.right(["The tumor."], question=["Which?"], answer=["tumor"], task=["vqa"]) == [1.0]


def test_the_judged_answer_depends_on_the_bag(trained: Any) -> None:
    trainer, seen, _ = trained
    core = next(part for part in trainer.model.modules() if hasattr(part, "multi_modal_projector"))
    weight = next(core.multi_modal_projector.parameters()).requires_grad_()
    ids, count = next((ids, count) for ids, count in reversed(seen))
    numbers = torch.tensor([["grpo0" in files[0] for files in trainer._seen].index(count == 9)])
    ids = torch.tensor([ids])
    logps, _ = trainer._get_per_token_logps_and_entropies(
        trainer.model, ids, torch.ones_like(ids), 2, pixel_values=numbers, num_images=[1]
    )
    logps.sum().backward()
    assert weight.grad.abs().max() > 0
