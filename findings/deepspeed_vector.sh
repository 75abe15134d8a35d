#!/usr/bin/env bash
# deepspeed 0.16.9: a linear layer that is given a vector trains everywhere but under ZeRO-3.
#
# PyTorch's Linear takes any number of leading axes, none among them: one query, one pooled vector. `zero.Init`, under
# which Transformers loads every model for stage 3, puts a function of its own in the place of
# `torch.nn.functional.linear`. Its backward tells two cases apart, "more than two axes" and "two": a vector falls under
# the second, where the outer product that the weight's gradient should be becomes a dot product of two vectors. Layers
# of unlike widths raise about sizes; square ones return a single number, which autograd refuses. Nothing is wrong in
# the forward pass, so it shows after the model is loaded, at the first step. 0.16.9 is the newest that LLaMA-Factory
# 0.9.4 takes.
#
# Seen: two axes and three axes train, bias or none; one axis: "inconsistent tensor size, expected tensor [3] and
# src [4]" and "returned an invalid gradient at index 1 - got []". `x[None]` and `[0]` around the layer is a way out.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.8.0 numpy==2.2.6 setuptools==80.9.0 wheel==0.45.1 py-cpuinfo==9.0.0 \
  einops==0.8.1 hjson==3.1.0 msgpack==1.1.1 ninja==1.11.1.4 packaging==25.0 psutil==7.0.0 pydantic==2.11.7 tqdm==4.67.1
DS_BUILD_OPS=0 "$work/venv/bin/pip" install --quiet --no-deps --no-build-isolation deepspeed==0.16.9

cat > "$work/train.py" <<'PY'
import os
import sys

import deepspeed
import torch

os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
CONFIG = {
    "train_micro_batch_size_per_gpu": 1,
    "zero_optimization": {"stage": 3},
    "zero_allow_untested_optimizer": True,
}


def step(shape, out, bias):
    """One step of a linear layer on ones; what came of it."""
    with deepspeed.zero.Init(config_dict_or_path=CONFIG):
        layer = torch.nn.Linear(shape[-1], out, bias=bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    engine, *_ = deepspeed.initialize(model=layer, optimizer=optimizer, config=CONFIG)
    try:
        engine.backward(engine(torch.ones(shape)).sum())
    except RuntimeError as error:
        return str(error)
    return "trains"


store = torch.distributed.TCPStore("127.0.0.1", 0, 1, True)
torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
deepspeed.init_distributed("gloo")
for shape in ((2, 5, 4), (2, 4), (4,)):  # before zero.Init, which leaves its function there for good
    torch.nn.Linear(4, 3)(torch.ones(shape)).sum().backward()
found = {}
for bias in (False, True):
    for shape in ((2, 5, 4), (2, 4), (4,)):
        for out in (3, 4):
            found[bias, len(shape), out] = step(shape, out, bias)
            print(f"bias {bias}, input {shape}, {out} outputs: {found[bias, len(shape), out]}", flush=True)

trains = all(said == "trains" for (_, axes, _), said in found.items() if axes > 1)
sizes = all("inconsistent tensor size" in found[bias, 1, 3] for bias in (False, True))
number = all("invalid gradient at index 1 - got []" in found[bias, 1, 4] for bias in (False, True))
if not (deepspeed.__version__.startswith("0.16.9") and trains and sizes and number):
    sys.exit("deepspeed does something else now")
print("deepspeed 0.16.9: under ZeRO-3 a linear layer cannot learn from a vector")
PY
cd "$work"
DS_ACCELERATOR=cpu TORCH_EXTENSIONS_DIR="$work/built" "$work/venv/bin/python" "$work/train.py" 2> "$work/log" |
  grep --line-buffered -E "^bias|^deepspeed" || { tail -5 "$work/log"; exit 1; }
