#!/usr/bin/env bash
# transformers 5.24.0: SegFormer's step grows with accumulation and with the number of processes, for the same pictures.
#
# Trainer reads from `**kwargs` in `forward` that a model divides its loss by the number of labels of the whole step
# itself, and then neither divides by the accumulation steps nor leaves the mean over processes alone (it multiplies by
# their number, to undo a division that it believes in). SegformerForSemanticSegmentation takes `**kwargs`, drops them
# and returns a plain mean. ResNetForImageClassification does the same. Both factors multiply; clipping hides them in
# Adam's direction but not in SGD or LARS, in logged losses, or in a learning rate tuned on another number of GPUs.
#
# Seen, 16 pictures with masks in one step of SGD: loss 1.10 for one process that takes all at once; 4 times both
# for 4 accumulated parts; 2 times on two processes; 8 times on two processes with 4 parts. After
# `model.accepts_loss_kwargs = False` all four agree. The same with transformers 5.5.4.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 accelerate==1.15.0 numpy==2.3.5

cat > "$work/train.py" <<'PY'
import json
import os
import sys

import torch
from transformers import SegformerConfig, SegformerForSemanticSegmentation, Trainer, TrainingArguments


class Tissue(torch.utils.data.Dataset):
    """Sixteen pictures of noise with a mask of three classes each; every pixel has a label."""

    def __init__(self):
        draw = torch.Generator().manual_seed(0)
        self.pictures = torch.randn(16, 3, 32, 32, generator=draw)
        self.masks = torch.randint(0, 3, (16, 32, 32), generator=draw)

    def __len__(self):
        return 16

    def __getitem__(self, index):
        return {"pixel_values": self.pictures[index], "labels": self.masks[index]}


def small_segformer():
    """Build a SegFormer without chance and without batch statistics, so that the split of a batch cannot matter."""
    names = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob", "drop_path_rate")
    config = SegformerConfig(
        hidden_sizes=[8] * 4,
        depths=[1] * 4,
        num_attention_heads=[1] * 4,
        decoder_hidden_size=8,
        num_labels=3,
        **dict.fromkeys(names, 0.0),
    )
    torch.manual_seed(0)
    model = SegformerForSemanticSegmentation(config)
    model.decode_head.batch_norm = torch.nn.Identity()
    return model


out, told, parts = sys.argv[1], sys.argv[2] == "told", int(sys.argv[3])
model = small_segformer()
if told:
    model.accepts_loss_kwargs = False
before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
arguments = TrainingArguments(
    output_dir=out,
    per_device_train_batch_size=16 // parts // int(os.environ.get("WORLD_SIZE", "1")),
    gradient_accumulation_steps=parts,
    max_steps=1,
    optim="sgd",
    learning_rate=0.1,
    lr_scheduler_type="constant",
    max_grad_norm=0.0,
    logging_steps=1,
    use_cpu=True,
    report_to=[],
    save_strategy="no",
    disable_tqdm=True,
)
trainer = Trainer(model, arguments, train_dataset=Tissue())
trainer.train()
step = torch.nn.utils.parameters_to_vector(model.parameters()).detach() - before
if os.environ.get("RANK", "0") == "0":
    loss = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
    with open(f"{out}/result.json", "w") as file:
        json.dump({"loss": float(loss), "step": step.norm().item()}, file)
PY

cat > "$work/compare.py" <<'PY'
import json
import sys
from importlib.metadata import version
from pathlib import Path

print(", ".join(f"{name} {version(name)}" for name in ("transformers", "accelerate", "torch")))
good = True
for kind in ("stock", "told"):
    results = {}
    for processes, parts in ((1, 1), (1, 4), (2, 1), (2, 4)):
        results[processes, parts] = json.loads(Path(sys.argv[1], f"{kind}-{processes}-{parts}", "result.json").read_text())
    base = results[1, 1]
    for (processes, parts), result in results.items():
        loss, step = result["loss"] / base["loss"], result["step"] / base["step"]
        print(f"{kind}: {processes} process(es), {parts} part(s): loss {result['loss']:.3f}, step {step:.2f} times the first")
        expected = processes * parts if kind == "stock" else 1
        good &= abs(loss / expected - 1) < 0.02 and abs(step / expected - 1) < 0.02
print("as recorded" if good else "CHANGED: the loss no longer scales as this script's head says")
sys.exit(not good)
PY

export OMP_NUM_THREADS=1
for kind in stock told; do
    for parts in 1 4; do
        mkdir -p "$work/runs/$kind-1-$parts" "$work/runs/$kind-2-$parts"
        "$work/venv/bin/python" "$work/train.py" "$work/runs/$kind-1-$parts" $kind $parts \
            > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
        "$work/venv/bin/python" -m torch.distributed.run --standalone --nproc_per_node 2 \
            "$work/train.py" "$work/runs/$kind-2-$parts" $kind $parts > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    done
done
"$work/venv/bin/python" "$work/compare.py" "$work/runs"
