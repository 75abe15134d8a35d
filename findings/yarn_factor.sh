#!/usr/bin/env bash
# transformers 4.52.4: YaRN scales nothing where a config gives `factor` and `original_max_position_embeddings`.
#
# Qwen2.5's model cards say how to read 131,072 tokens: add to config.json a rope_scaling of type yarn, factor 4.0 and
# original_max_position_embeddings 32768, and leave max_position_embeddings at 32768. With that config, 4.52.4 takes
# max_position_embeddings / original_max_position_embeddings in place of the factor, which is 1: the frequencies are
# those of a model without YaRN, bit for bit. It says nothing; a model that was to read four times as far reads as far as
# before. The same factor without `original_max_position_embeddings` scales by 4, and so does a config whose
# max_position_embeddings was raised to 131072. 4.48.0 and 4.57.1 scale by the factor in all three.
#
# Seen: the slowest frequency of plain rotary embedding, divided by the scaled one, is 1 (wanted 4), 4 and 4 in 4.52.4;
# 4, 4 and 4 in 4.57.1.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"

cat > "$work/ratios.py" <<'PY'
import sys
from importlib.metadata import version

from transformers import Qwen2Config
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

ORIGINAL, FACTOR = 32_768, 4.0


def slowest(scaling, positions=ORIGINAL):
    config = Qwen2Config(
        hidden_size=64,
        num_attention_heads=1,
        num_key_value_heads=1,
        num_hidden_layers=1,
        max_position_embeddings=positions,
        rope_theta=1e6,
        rope_scaling=scaling,
    )
    return Qwen2RotaryEmbedding(config=config).inv_freq[-1].item()


yarn = {"rope_type": "yarn", "factor": FACTOR}
with_original = {**yarn, "original_max_position_embeddings": ORIGINAL}
plain = slowest(None)
ratios = [
    plain / slowest(with_original),
    plain / slowest(yarn),
    plain / slowest(with_original, int(ORIGINAL * FACTOR)),
]
found = [round(ratio, 3) for ratio in ratios]
print(f"transformers {version('transformers')}: as on the model card {found[0]}, without original {found[1]}, with "
      f"max_position_embeddings raised {found[2]}")
good = found == [float(word) for word in sys.argv[1:]]
print("as recorded" if good else "CHANGED: YaRN is no longer scaled as this script's head says")
sys.exit(not good)
PY

export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1
"$work/venv/bin/pip" install --quiet torch==2.6.0 transformers==4.52.4 numpy==2.2.6
"$work/venv/bin/python" "$work/ratios.py" 1 4 4 2> "$work/log" || { cat "$work/log"; exit 1; }
"$work/venv/bin/pip" install --quiet transformers==4.57.1
"$work/venv/bin/python" "$work/ratios.py" 4 4 4 2> "$work/log" || { cat "$work/log"; exit 1; }
