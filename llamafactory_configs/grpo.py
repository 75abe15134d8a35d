"""GRPO: the model answers each question several times, and answers that are right become more likely.

Needs:  a Hugging Face directory (`pathplugins export xtuner`, `llamafactory-cli export`), questions with right answers
        about bags or images, and LLaMA-Factory's environment (TRL 0.24)
Writes: a LoRA adapter below --out, for `pathplugins ask --adapter` and adapter_name_or_path
Run:    python grpo.py hf_model train.csv --out saves/grpo --task choices --steps 500
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import llamafactory.extras.packages  # noqa: F401 - puts right, for TRL, what Transformers 5 says of missing packages
import torch
from datasets import Dataset
from peft import LoraConfig
from trl import GRPOConfig, GRPOTrainer

from pathplugins.commands.loading import load_model, load_processor
from pathplugins.commands.questions import QuestionSet, check
from pathplugins.data.scoring.answers import normalise, options_in, parse_choice


class PathologyGRPOTrainer(GRPOTrainer):
    """TRL's trainer, for questions about bags and images.

    TRL hands on ``pixel_values`` alone, a row of it for each sample. Bags have no such rows. So it gets the number of
    each sample's images in their place, for which the model reads the images anew: they are the same each time.
    """

    def __init__(self, *, model: Any, **options: Any) -> None:
        self._seen: list[tuple[str, ...]] = []
        model.register_forward_pre_hook(self._read, with_kwargs=True)
        model.warnings_issued = {}  # where TRL notes a warning; models of Transformers 5 have none
        super().__init__(model=model, **options)

    def _generate_single_turn(self, prompts: list[str], images: list[list[str]] | None) -> Any:
        prompt_ids, completion_ids, logprobs, _ = super()._generate_single_turn(prompts, images)
        self._seen = list(dict.fromkeys([*self._seen, *map(tuple, images)]))
        numbers = torch.tensor([self._seen.index(tuple(owned)) for owned in images], device=self.accelerator.device)
        return prompt_ids, completion_ids, logprobs, {"pixel_values": numbers}

    def _read(self, model: Any, args: tuple[Any, ...], inputs: dict[str, Any]) -> Any:
        numbers = inputs.get("pixel_values")
        if numbers is None or numbers.is_floating_point():
            return None
        vision = self.processing_class.read_images([self._seen[number] for number in numbers.tolist()])
        there = {name: value.to(numbers.device) for name, value in vision.items()}
        return args, {**inputs, "pixel_values": None, **there}


def right(completions: list[str], question: list[str], answer: list[str], task: list[str], **_: Any) -> list[float]:
    """Reward an answer that says the right choice, or the right words, by 1, others by 0."""
    scores = []
    for said, asked, wanted, kind in zip(completions, question, answer, task, strict=True):
        if kind == "choices":
            options = options_in(asked)
            scores.append(float(parse_choice(said, options) == parse_choice(wanted, options)))
        else:
            scores.append(float(normalise(said) == normalise(wanted)))
    return scores


def main(words: list[str] | None = None) -> PathologyGRPOTrainer:
    """Train, and write the adapter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="directory of a trained model")
    parser.add_argument("data", type=Path, help="questions with right answers")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--format", default="wsi_csv", help="see docs/data.md (wsi_csv)")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of the format")
    parser.add_argument("--image-folder", type=Path)
    parser.add_argument("--task", choices=["choices", "vqa"], default="choices", help="the letter, or the words")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--generations", type=int, default=8, help="answers to each question")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-5)
    given = parser.parse_args(words)

    test = QuestionSet(
        *(given.data, given.format, given.image_folder, tuple(given.option)), None, "error", given.task, False
    )
    given.out.mkdir(parents=True, exist_ok=True)
    questions = check(given.model, None, test, given.out, {}).questions  # every row and image is looked at
    rows = [
        {"prompt": prompt, "images": list(images), "task": given.task, **{n: line[n] for n in ("question", "answer")}}
        for prompt, images, line in questions
    ]
    gpu = torch.cuda.is_available()
    loaded = load_model(given.model, device="cuda" if gpu else "cpu")
    trainer = PathologyGRPOTrainer(
        model=loaded.model,
        reward_funcs=right,
        processing_class=load_processor(given.model),
        train_dataset=Dataset.from_list(rows),
        peft_config=LoraConfig(r=32, lora_alpha=64, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]),
        args=GRPOConfig(
            output_dir=str(given.out),
            max_steps=given.steps,
            num_generations=given.generations,
            per_device_train_batch_size=given.generations,
            max_completion_length=given.max_new_tokens,
            max_prompt_length=None,  # else vision tokens are cut off
            learning_rate=given.learning_rate,
            temperature=1.0,
            beta=0.0,
            bf16=gpu,
            use_cpu=not gpu,
            remove_unused_columns=False,
            logging_steps=1,
            report_to="none",
        ),
    )
    trainer.train()
    trainer.save_model()
    return trainer


if __name__ == "__main__":
    main()
