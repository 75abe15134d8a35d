#!/usr/bin/env bash
# transformers 5.24.0: a run that is resumed in its second pass over a stream begins that pass anew, every time.
#
# Trainer takes an IterableDataset without a length to be one epoch of `max_steps` steps. A resumed run therefore skips
# `global_step` batches in its first pass; when the checkpoint was made in a later one, the skipping uses up the whole
# stream, trains on nothing and ends that "epoch", and the next starts with the first sample. What was left of the
# interrupted pass is never shown. A job that is stopped more often than a pass is long (a queue with a time limit, a
# spot machine) goes on for as long as it is told to, over the first samples alone. Every run ends with 0, at the right
# step, without a warning, and the loss falls, as the same few samples come again. `set_epoch` is told 1 every time, so
# that a stream that shuffles by the epoch gives the same few again as well.
#
# Seen: 20 samples, 2 a step, 30 steps, which is 3 passes. Uninterrupted: each sample 3 times. Stopped and resumed at
# steps 12, 15, 18, 21, 24 and 27: 6 samples 7 or 8 times, 14 samples once. The same samples in a list: 3 times each,
# in the same order as uninterrupted. The stream with a `__len__`: 3 times each too, which is the way out. The same with
# transformers 5.5.4 and accelerate 1.11.0.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 accelerate==1.15.0 numpy==2.3.5

cat > "$work/train.py" <<'PY'
import sys
from collections import Counter
from importlib.metadata import version

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

print(", ".join(f"{name} {version(name)}" for name in ("transformers", "accelerate", "torch")))
samples = [{"x": torch.tensor([number / 20]), "number": torch.tensor(number)} for number in range(20)]


class Stream(torch.utils.data.IterableDataset):
    """The samples one after another; it notes the epochs that it is told."""

    def __init__(self):
        self.epochs = []

    def set_epoch(self, epoch):
        self.epochs.append(epoch)

    def __iter__(self):
        return iter(samples)


class StreamWithLength(Stream):
    def __len__(self):
        return len(samples)


class Model(torch.nn.Module):
    """The smallest regression; it notes what it is shown."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen = []

    def forward(self, x, number):
        self.seen += number.tolist()
        return {"loss": self.layer(x).square().mean()}


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_save = control.should_training_stop = state.global_step == self.step


def train(data, out, stops):
    """Train to each of the stops, every time in a new Trainer resumed from the last; give what the model was shown."""
    seen, last, epochs = [], None, []
    for stop in stops:
        torch.manual_seed(0)
        model, dataset = Model(), data()
        arguments = TrainingArguments(
            output_dir=out,
            per_device_train_batch_size=2,
            max_steps=30,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, train_dataset=dataset, callbacks=[StopAt(stop)])
        result = trainer.train(resume_from_checkpoint=last)
        assert result.global_step == stop
        seen, last = seen + model.seen, f"{out}/checkpoint-{stop}"
        epochs.append(getattr(dataset, "epochs", [None])[-1])
    return seen, epochs


good = True
for name, data in {"list": lambda: samples, "stream with a length": StreamWithLength, "stream": Stream}.items():
    whole, _ = train(data, f"{sys.argv[1]}/{name}/whole", [30])
    parts, epochs = train(data, f"{sys.argv[1]}/{name}/parts", [12, 15, 18, 21, 24, 27, 30])
    times = Counter(Counter(parts).values())
    shown = ", ".join(f"{count} samples {often} times" for often, count in sorted(times.items()))
    print(f"{name}: uninterrupted every sample {set(Counter(whole).values())} times; resumed 6 times: {shown}")
    good &= len(whole) == len(parts) == 60 and set(Counter(whole).values()) == {3}
    if name == "stream":
        print(f"{name}: after each resume the data was told of epoch {epochs[1:]}")
        good &= times == {8: 4, 7: 2, 1: 14} and set(epochs) == {1}
    else:
        good &= parts == whole
print("as recorded" if good else "CHANGED: a resumed stream no longer begins anew as this script's head says")
sys.exit(not good)
PY

export OMP_NUM_THREADS=1
"$work/venv/bin/python" "$work/train.py" "$work/out" 2> "$work/log" | grep -v "^{" || { cat "$work/log"; exit 1; }
