#!/usr/bin/env bash
# transformers 5.24.0: `_init_weights` of a model of one's own is no longer asked about modules that own no new tensor.
#
# `from_pretrained` makes a model without memory, fills in what the checkpoint holds, and gives non-persistent buffers
# memory with whatever stood there. It is the model's `_init_weights(module)` that writes their values again. Up to 5.5.4
# it was called for every module; now, for classes defined outside Transformers, it is not called for a module whose
# own tensors all came from the checkpoint, nor for one that owns none. So a tower that restores the table of a part
# (the rotary or position table of another package's module, which knows nothing of Transformers) is never asked, and
# the table is left as it was found in memory. Nothing is missing in the loading report, a model made from its config
# is right, and the loaded one runs and answers from whatever stood there.
#
# Seen: 5.5.4 restores both towers; 5.24.0 only the one that owns a non-persistent buffer itself (a buffer of one zero
# does), the table of the other holds no value that was written. Unwritten memory is made visible as NaN here, by
# `torch.use_deterministic_algorithms`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"

cat > "$work/load.py" <<'PY'
import sys
from importlib.metadata import version

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

print(", ".join(f"{name} {version(name)}" for name in ("transformers", "torch")))
torch.use_deterministic_algorithms(True)  # fills memory that nothing was written to with NaN


class Rotary(nn.Module):
    """As another package would ship it: a table that no checkpoint holds."""

    def __init__(self):
        super().__init__()
        self.register_buffer("angles", torch.arange(8.0), persistent=False)


class Tower(nn.Module):
    """A tower around that part, which it restores."""

    def __init__(self, owns_a_buffer):
        super().__init__()
        self.rotary, self.layer = Rotary(), nn.Linear(8, 8)
        if owns_a_buffer:
            self.register_buffer("nothing", torch.zeros(1), persistent=False)

    def restore(self):
        self.rotary.angles.copy_(torch.arange(8.0))


class Config(PretrainedConfig):
    model_type = "two_towers"


class Model(PreTrainedModel):
    config_class = Config

    def __init__(self, config):
        super().__init__(config)
        self.plain, self.owner = Tower(False), Tower(True)
        self.post_init()

    def _init_weights(self, module):
        if isinstance(module, Tower):
            module.restore()


folder, restored_plain = sys.argv[1], sys.argv[2] == "restored"
made = Model(Config())
made.save_pretrained(folder)
loaded, report = Model.from_pretrained(folder, output_loading_info=True)
right = {}
for name in ("plain", "owner"):
    angles = getattr(loaded, name).rotary.angles
    right[name] = torch.equal(angles, torch.arange(8.0))
    print(f"tower `{name}`: made from its config {getattr(made, name).rotary.angles.tolist()}, loaded {angles.tolist()}")
print("missing keys:", sorted(report["missing_keys"]))
good = right == {"plain": restored_plain, "owner": True} and not report["missing_keys"]
print("as recorded" if good else "CHANGED: tables are no longer restored as this script's head says")
sys.exit(not good)
PY

export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.5.4 numpy==2.3.5
"$work/venv/bin/python" "$work/load.py" "$work/model" restored 2> "$work/log" || { cat "$work/log"; exit 1; }
"$work/venv/bin/pip" install --quiet transformers==5.24.0
"$work/venv/bin/python" "$work/load.py" "$work/model" unwritten 2> "$work/log" || { cat "$work/log"; exit 1; }
