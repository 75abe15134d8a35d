"""Batches of questions: `evaluate` and LLaMA-Factory's prediction against a bare loop over the same batches.

Run: python -m benchmarks.evaluating [--questions 32] [--batch 4] [--rounds 3]

A small model of slides with random weights, 32 tokens an answer, one thread, seconds of the processor; only the loop
counts, and each takes turns with its bare loop. *evaluate*: what `pathplugins evaluate` does from the first question to
the last, answers written; bare: processor, ``generate``, decoding. *LLaMA-Factory* (where it is installed):
``evaluation_loop`` of its trainer without its scores, as ``do_predict`` runs it on ``wsi_llava_predict.yaml``; bare:
``generate`` for each batch of its data loader. The bound of both is ``generate`` of prepared batches.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.asking import QUESTION, make
from benchmarks.measure import fastest, verdict

BAR = 0.95
TOKENS = 32


def write_table(folder: Path, bag: Path, questions: int) -> Path:
    """Write a table of so many questions about as many bags."""
    path = folder / "val.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["h5_path", "question", "answer", "slide_id", "dataset"])
        for number in range(questions):
            shutil.copy(bag, folder / f"s{number}.h5")
            writer.writerow([f"s{number}.h5", f"{QUESTION} {'Why? ' * (number % 5)}", "Tissue.", f"s{number}", "drawn"])
    info = {"val": {"file_name": path.name, "formatting": "wsi_csv", "subset": "vqa"}}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return path


def evaluating(model: Path, table: Path, batch: int, rounds: int) -> list[float]:
    """Return the seconds of `evaluate`, of the bare loop and of ``generate`` alone."""
    from pathplugins.commands import evaluation_options
    from pathplugins.commands.evaluation_options import EvaluationOptions
    from pathplugins.commands.question_runs import Processes, ask_share, load
    from pathplugins.commands.questions import prepare

    parser, out = argparse.ArgumentParser(), table.parent / "results"
    evaluation_options.add_arguments(parser)
    words = ["--data", table, "--format", "wsi_csv", "--option", "mode=vqa", "--task", "vqa", "--out", out]
    words += ["--batch-size", batch, "--max-new-tokens", TOKENS, "--device", "cpu", "--image-folder", table.parent]
    options = EvaluationOptions.of(parser.parse_args([str(model), *map(str, words)]))
    here = Processes(0, 1)
    prepared = prepare(options.model, None, options.test, out, options.settings())
    loaded = load(options, here)
    loaded.model.generation_config.eos_token_id = None  # every answer has all its tokens
    parts = [prepared.open[start : start + batch] for start in range(0, len(prepared.open), batch)]
    own = {"max_new_tokens": TOKENS, "do_sample": False, "pad_token_id": loaded.processor.tokenizer.pad_token_id}
    ready = [loaded.processor([q.prompt for q in part], [q.images for q in part]) for part in parts]

    def bare() -> None:
        for part in parts:
            inputs = loaded.processor([q.prompt for q in part], [q.images for q in part])
            said = loaded.model.generate(**inputs, **own)[:, inputs["input_ids"].shape[1] :]
            loaded.processor.tokenizer.batch_decode(said, skip_special_tokens=True)

    def generate() -> None:
        for inputs in ready:
            loaded.model.generate(**inputs, **own)

    return fastest([lambda: ask_share(loaded, options, prepared.open, out, here), bare, generate], rounds)


def predicting(model: Path, table: Path, batch: int, rounds: int) -> list[float]:
    """Return the seconds of LLaMA-Factory's prediction, of the bare loop and of ``generate`` alone."""
    from llamafactory.train.tuner import run_exp  # noqa: TID251 - what is measured
    from transformers import Trainer

    from pathplugins.commands.configs import folder

    whole, found = Trainer.evaluation_loop, list[float]()

    def timed(self: Any, dataloader: Any, *args: Any, **kwargs: Any) -> Any:
        ready = [{**inputs} for inputs in dataloader]

        def generate(batches: Any) -> None:
            self.model.eval()
            for inputs in batches:
                given = {name: value for name, value in inputs.items() if name != "labels"}
                self.model.generate(**given, **self._gen_kwargs)

        def ours() -> None:
            scores, self.compute_metrics = self.compute_metrics, None
            whole(self, dataloader, *args, **kwargs)
            self.compute_metrics = scores

        calls: list[Callable[[], object]] = [ours, lambda: generate(dataloader), lambda: generate(ready)]
        found.extend(fastest(calls, rounds))
        raise _Measured

    Trainer.evaluation_loop = timed
    import yaml

    keys = yaml.safe_load((folder("llamafactory") / "wsi_llava_predict.yaml").read_text())
    keys |= {"model_name_or_path": str(model), "dataset_dir": str(table.parent), "eval_dataset": "val", "bf16": False}
    keys |= {"preprocessing_num_workers": 1, "dataloader_num_workers": 0, "per_device_eval_batch_size": batch}
    keys |= {"max_new_tokens": TOKENS, "output_dir": str(table.parent / "predict"), "cutoff_len": 4096}
    keys |= {"overwrite_cache": True, "do_sample": False}
    try:
        run_exp(keys)
    except _Measured:
        pass
    finally:
        Trainer.evaluation_loop = whole
    return found


class _Measured(Exception):
    """Ends a prediction when everything about it is known."""


def main() -> int:
    """Print the ratios; 1 when one misses its bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {"PATHPLUGINS_CACHE": f"{name}/cache", "TOKENIZERS_PARALLELISM": "false"}
        model, bag = make(Path(name))
        table = write_table(Path(name), bag, options.questions)
        loops = {"evaluate": evaluating}
        if find_spec("llamafactory") is not None:
            loops["predict of LLaMA-Factory"] = predicting
        for what, measured in loops.items():
            ours, bare, generate = measured(model, table, options.batch, options.rounds)
            sys.stdout.write(f"{what}: {ours:.2f} s, bare loop {bare:.2f} s, generate alone {generate:.2f} s\n")
            lines.append(verdict(f"{what}, throughput / bare loop", bare / ours, BAR, at_most=False))
    sys.stdout.write("".join(line for line, _ in lines))
    return int(not all(kept for _, kept in lines))


if __name__ == "__main__":
    sys.exit(main())
