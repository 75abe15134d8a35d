#!/usr/bin/env bash
# mmengine 0.10.7: a warm-up of one iteration never ends, and the whole run trains at a hundred-thousandth of its rate.
#
# A warm-up over 3 % of an epoch followed by a cosine is what XTuner ships in hundreds of configs. MMEngine turns it
# into iterations by `int(0.03 * len(loader))`. LinearLR multiplies the rate by `start_factor` at its first iteration
# and leads it back to 1 in those that follow. Where there is one only, none follows; the cosine then goes on from the
# rate it finds. So a set of 34 to 66 batches is trained at lr * 1e-5 from the first step to the last. The log shows
# losses, the run ends with 0, and the weights are those it began with. With 33 batches or fewer it raises.
#
# Seen: lr 0.1, highest rate by batches of the epoch: 100 -> 0.1, 67 -> 0.1, 66 -> 1e-06, 34 -> 1e-06,
# 33 -> ValueError "end should be larger than begin". Five epochs of 8 batches (0.03 * 5 * 8 = 1.2) do the same.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.2.6 addict==2.4.0 matplotlib==3.10.7 rich==14.2.0 \
  termcolor==3.2.0 yapf==0.43.0 pyyaml==6.0.3 opencv-python-headless==4.12.0.88 setuptools==80.9.0
"$work/venv/bin/pip" install --quiet --no-deps mmengine==0.10.7

cat > "$work/train.py" <<'PY'
import logging
import sys

import mmengine
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner

RATE = 0.1


class Line(BaseModel):
    """One weight that is to become 3."""

    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, y, mode="loss"):
        return {"loss": (self.slope * x - y).square().mean()}


class Rates(Hook):
    """Note the rate of every step."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append(runner.optim_wrapper.optimizer.param_groups[0]["lr"])


def train(batches, epochs, folder):
    """Train as the usual configs say; the rates of all steps, and the weight in the end."""
    draw = torch.Generator().manual_seed(0)
    samples = [(x, 3 * x) for x in torch.randn(batches * 2, generator=draw)]
    rates, warm = Rates(), 0.03 * epochs
    shared = {"by_epoch": True, "convert_to_iter_based": True}
    runner = Runner(
        Line(),
        folder,
        train_dataloader=torch.utils.data.DataLoader(samples, batch_size=2),
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": RATE}},
        param_scheduler=[
            {"type": "LinearLR", "start_factor": 1e-5, "begin": 0, "end": warm, **shared},
            {"type": "CosineAnnealingLR", "eta_min": 0.0, "begin": warm, "end": epochs, **shared},
        ],
        custom_hooks=[rates],
        default_hooks={"checkpoint": None, "logger": None},
        experiment_name=f"{batches}_{epochs}",
        log_level=logging.ERROR,
    )
    model = runner.train()
    return max(rates.seen), model.slope.item()


found = {}
for batches, epochs in ((100, 1), (67, 1), (66, 1), (34, 1), (33, 1), (8, 5)):
    try:
        found[batches, epochs] = train(batches, epochs, sys.argv[1])
    except ValueError as error:
        found[batches, epochs] = str(error)
    print(f"{batches} batches, {epochs} epochs:", found[batches, epochs], flush=True)

full = all(found[size][0] > 0.99 * RATE and abs(found[size][1] - 3) < 0.1 for size in ((100, 1), (67, 1)))
lost = all(found[size][0] < 2e-5 * RATE and abs(found[size][1]) < 0.01 for size in ((66, 1), (34, 1), (8, 5)))
raised = str(found[33, 1]).startswith("end should be larger than begin")
if not (mmengine.__version__ == "0.10.7" and full and lost and raised):
    sys.exit("mmengine does something else now")
print("mmengine 0.10.7: a warm-up that comes to one iteration leaves the run at a hundred-thousandth of its rate")
PY
"$work/venv/bin/python" "$work/train.py" "$work/out"
