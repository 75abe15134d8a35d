#!/usr/bin/env bash
# accelerate 1.15.0 under transformers 5.24.0: a dataset hears of the epoch on one process, on two it never does.
#
# Trainer tells its loader the epoch, and the loader passes it on to `dataset.set_epoch` - unless it finds a sampler
# two levels down that takes one. That is exactly what it finds as soon as the batches are shared between processes
# (accelerate wraps the batch sampler, and Trainer asks for the sampler that can be seeded). So a dataset that draws
# its crops from (seed, epoch, index), to give the same ones again on resume, augments on one GPU and repeats the
# crops of epoch 0 on two. The shuffling still changes, no warning is printed, and the loss looks only better.
#
# Seen: 12 pictures, 4 epochs: 4 crops per picture on one process, 1 on two. With
# `accelerator_config={"use_seedable_sampler": False}` 4 on both. The same with accelerate 1.11.0 and transformers
# 5.5.4.
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
from transformers import Trainer, TrainingArguments


class Pictures(torch.utils.data.Dataset):
    """Twelve pictures of noise, cropped at a place drawn from the epoch and the index."""

    def __init__(self):
        self.epoch = 0
        self.pictures = torch.randn(12, 3, 256, 256, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.pictures)

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __getitem__(self, index):
        draw = torch.Generator().manual_seed(1000 * self.epoch + index)
        top, left = torch.randint(0, 225, (2,), generator=draw).tolist()
        return {
            "pixels": self.pictures[index, :, top : top + 32, left : left + 32],
            "place": torch.tensor([index, top, left]),
        }


class Model(torch.nn.Module):
    """The smallest encoder that trains; it notes what it is shown."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 1, 8)
        self.seen = []

    def forward(self, pixels, place):
        self.seen += place.tolist()
        return {"loss": self.layer(pixels).square().mean()}


out, seedable, processes = sys.argv[1], sys.argv[2] == "seedable", int(os.environ.get("WORLD_SIZE", "1"))
model = Model()
arguments = TrainingArguments(
    output_dir=out,
    per_device_train_batch_size=4 // processes,
    num_train_epochs=4,
    use_cpu=True,
    report_to=[],
    save_strategy="no",
    logging_strategy="no",
    disable_tqdm=True,
    remove_unused_columns=False,
    accelerator_config={} if seedable else {"use_seedable_sampler": False},
)
Trainer(model, arguments, train_dataset=Pictures()).train()
with open(f"{out}/seen-{os.environ.get('RANK', '0')}.json", "w") as file:
    json.dump(model.seen, file)
PY

cat > "$work/compare.py" <<'PY'
import json
import sys
from importlib.metadata import version
from pathlib import Path

print(", ".join(f"{name} {version(name)}" for name in ("accelerate", "transformers", "torch")))
good = True
for run, expected in {"1-seedable": 4, "2-seedable": 1, "1-plain": 4, "2-plain": 4}.items():
    seen = [tuple(place) for file in Path(sys.argv[1], run).glob("seen-*.json") for place in json.loads(file.read_text())]
    crops = [len({place for place in seen if place[0] == index}) for index in range(12)]
    print(f"{run[0]} process(es), {run[2:]} sampler: {len(seen)} crops drawn, {sum(crops) / 12:g} different per picture")
    good &= len(seen) == 48 and crops == [expected] * 12
print("as recorded" if good else "CHANGED: the epoch no longer reaches the dataset as this script's head says")
sys.exit(not good)
PY

export OMP_NUM_THREADS=1
for sampler in seedable plain; do
    mkdir -p "$work/runs/1-$sampler" "$work/runs/2-$sampler"
    "$work/venv/bin/python" "$work/train.py" "$work/runs/1-$sampler" "$sampler" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    "$work/venv/bin/python" -m torch.distributed.run --standalone --nproc_per_node 2 \
        "$work/train.py" "$work/runs/2-$sampler" "$sampler" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
done
"$work/venv/bin/python" "$work/compare.py" "$work/runs"
