#!/usr/bin/env bash
# accelerate 1.15.0 under transformers 5.24.0: a packed batch from a stream loses its boundaries, on one process too.
#
# `DataCollatorWithFlattening(return_flash_attn_kwargs=True)` puts the documents of a batch end to end and says in
# `cu_seq_lens_q` and `cu_seq_lens_k` where each begins and ends. Batches of an IterableDataset go through Accelerate's
# dispatcher, which deals them out to the processes by rows, and does so for one process as well: it takes the number of
# rows from the first tensor, which is 1 for packed ids, and cuts every tensor to that many. So the model is given the
# boundaries [0]: whole ids, whole labels, the right longest length, and not one document. Attention that reads them, as
# the documentation of padding-free training recommends, finds nothing to attend to; what comes of that is left to the
# kernel. Up to accelerate 1.12.0 the same call was an error (the longest length is an int, which could not be
# concatenated). From 1.13.0 on that is so for two processes only, and one process goes on without a word.
#
# Seen, with attention written down by its definition: 4 documents and a first loss of 5.6440 from a list, the same as
# when they are padded; boundaries [0] and 5.0549 from a stream, exit code 0. `accelerator_config={"dispatch_batches":
# False}` gives the stream's true boundaries, [0, 3, 9, 13, 18], and 5.6440. Two processes: TypeError.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 accelerate==1.15.0 numpy==2.3.5

cat > "$work/train.py" <<'PY'
import os
import sys
from importlib.metadata import version

import torch
from transformers import AttentionInterface, DataCollatorWithFlattening, LlamaConfig, LlamaForCausalLM
from transformers import Trainer, TrainingArguments

lengths = (3, 6, 4, 5)
documents = [{"input_ids": [7 * number + step for step in range(length)]} for number, length in enumerate(lengths)]
boundaries = []


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(documents)


def attend(module, query, key, value, attention_mask, scaling, cu_seq_lens_q, **kwargs):
    """Attend within each stretch between two boundaries, which is what packed attention is."""
    boundaries.append(cu_seq_lens_q.tolist())
    out = torch.zeros_like(query)
    for start, stop in zip(boundaries[-1][:-1], boundaries[-1][1:], strict=True):
        parts = (tensor[:, :, start:stop] for tensor in (query, key, value))
        out[:, :, start:stop] = torch.nn.functional.scaled_dot_product_attention(*parts, is_causal=True, scale=scaling)
    return out.transpose(1, 2), None


def pad(rows):
    longest = max(len(row["input_ids"]) for row in rows)
    batch = {"input_ids": [], "attention_mask": [], "labels": []}
    for row in rows:
        ids, rest = row["input_ids"], longest - len(row["input_ids"])
        batch["input_ids"].append(ids + [0] * rest)
        batch["attention_mask"].append([1] * len(ids) + [0] * rest)
        batch["labels"].append(ids + [-100] * rest)
    return {name: torch.tensor(values) for name, values in batch.items()}


AttentionInterface.register("between_boundaries", attend)
flatten = DataCollatorWithFlattening(return_flash_attn_kwargs=True)


def first_step(data, collator=flatten, attention="between_boundaries", **options):
    """Train one step on a batch of all documents; give its loss and the boundaries that reached the model."""
    torch.manual_seed(0)
    boundaries.clear()
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        initializer_range=0.5,
        attn_implementation=attention,
    )
    arguments = TrainingArguments(
        output_dir=sys.argv[1],
        per_device_train_batch_size=4 // int(os.environ.get("WORLD_SIZE", "1")),
        max_steps=1,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        accelerator_config=options,
    )
    trainer = Trainer(LlamaForCausalLM(config), arguments, train_dataset=data, data_collator=collator)
    return trainer.train().training_loss, list(boundaries)


if "WORLD_SIZE" in os.environ:
    first_step(Stream())
    sys.exit("CHANGED: two processes take the stream")
print(", ".join(f"{name} {version(name)}" for name in ("accelerate", "transformers", "torch")))
runs = {
    "padded": first_step(documents, pad, "sdpa"),
    "list": first_step(documents),
    "stream, undispatched": first_step(Stream(), dispatch_batches=False),
    "stream": first_step(Stream()),
}
for name, (loss, reached) in runs.items():
    print(f"{name}: boundaries {reached or 'none needed'}, first loss {loss:.4f}")
right, good = runs["padded"][0], True
for name, (loss, reached) in runs.items():
    good &= (abs(loss - right) < 1e-3) == (name != "stream")
good &= runs["stream"][1] == [[0]] and runs["stream, undispatched"][1] == [[0, 3, 9, 13, 18]]
print("as recorded" if good else "CHANGED: the boundaries no longer arrive as this script's head says")
sys.exit(not good)
PY

export OMP_NUM_THREADS=1
"$work/venv/bin/python" "$work/train.py" "$work/out" 2> "$work/log" | grep -v "^{" || { cat "$work/log"; exit 1; }
if "$work/venv/bin/python" -m torch.distributed.run --standalone --nproc_per_node 2 "$work/train.py" "$work/out" \
    > "$work/log" 2>&1 || ! grep -o -m 1 "TypeError: Can only concatenate tensors.*" "$work/log"; then
    tail -n 30 "$work/log"
    echo "CHANGED: two processes no longer end as this script's head says"
    exit 1
fi
