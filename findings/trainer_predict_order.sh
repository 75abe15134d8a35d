#!/usr/bin/env bash
# transformers 5.24.0: an option about training changes the order of what `Trainer.predict` returns.
#
# With `train_sampling_strategy="group_by_length"` (before version 5: `group_by_length=True`) the loader of evaluation
# and prediction groups by length too, and puts nothing back: row i of `predictions` is not sample i of the dataset.
# Everything that pairs the two afterwards (predictions written beside their prompts, slide names, answers of a
# benchmark) is wrong without an error. The metrics do not show it, as the labels are shuffled alike, so that a run
# with good numbers writes files in which nearly every line belongs to somebody else. `predict` is often called with the
# arguments of the training, and there is no option for evaluation alone.
#
# Seen: 12 samples and a model that answers with the number of its sample: `random` gives 0 to 11 in order,
# `group_by_length` 5 6 1 7 2 0 10 11 3 4 8 9, with labels that agree. The same with transformers 4.48.0 and 5.5.4,
# where every call of `predict` also had another order. LLaMA-Factory 0.9.5 on 5.5.4, told to predict so, writes each of
# these 12 prompts into `generated_predictions.jsonl` with another one's label and answer.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 accelerate==1.15.0 numpy==2.3.5

cat > "$work/predict.py" <<'PY'
import sys
from importlib.metadata import version

import torch
from transformers import Trainer, TrainingArguments

print(", ".join(f"{name} {version(name)}" for name in ("transformers", "accelerate", "torch")))
samples = [{"input_ids": [number] * (1 + number * 7 % 12), "labels": number} for number in range(12)]


class Echo(torch.nn.Module):
    """Answers with the first id that it reads, which is the number of the sample."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, input_ids, labels):
        return {"loss": self.weight.sum(), "logits": input_ids[:, :1]}


def pad(rows):
    longest = max(len(row["input_ids"]) for row in rows)
    ids = [row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in rows]
    return {"input_ids": torch.tensor(ids), "labels": torch.tensor([row["labels"] for row in rows])}


good = True
for strategy in ("random", "group_by_length"):
    arguments = TrainingArguments(
        output_dir=sys.argv[1],
        per_device_eval_batch_size=2,
        train_sampling_strategy=strategy,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
    )
    result = Trainer(Echo(), arguments, data_collator=pad).predict(samples)
    answers, labels = result.predictions[:, 0].tolist(), result.label_ids.tolist()
    agree = sum(answer == number for number, answer in enumerate(answers))
    print(f"{strategy}: predictions of samples {answers}; {agree} of 12 stand where their sample does")
    good &= answers == labels and sorted(answers) == list(range(12))
    good &= agree == 12 if strategy == "random" else agree < 6
print("as recorded" if good else "CHANGED: predict no longer orders its rows as this script's head says")
sys.exit(not good)
PY

OMP_NUM_THREADS=1 "$work/venv/bin/python" "$work/predict.py" "$work/out"
