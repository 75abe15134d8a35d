"""Training on rows of several samples (``neat_packing``) against batches of the samples, on a mix of short questions.

Run from the repository root: ``python -m benchmarks.packing [--samples N]``. Float32, CPU, one thread, an untrained
model of middle size whose whole language model learns; half of the samples show a bag of 33 vision tokens. Questions
have 12 to 40 tokens and answers, as in sets of questions with captions among them, 1 to 400, half of them under 12.
*Batch* is what the trainer makes without packing: eight samples in random order, padded to the longest. *One* is
batches of one sample. *Rows* holds eight samples on average, in rows of 512 tokens, two of them a step. All three learn
the same samples, forward and backward, and take turns; tokens are those of samples, padding does not count.

Bar: tokens per second of rows over those of the batches 1.8; and the loss of all samples in one batch and in rows is
the same to 1e-5.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForImageTextToText

from benchmarks.measure import fastest, verdict
from pathplugins.data import prompts
from pathplugins.llamafactory.packing import fill
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.compose.tiny_llm import build_tiny_llm
from pathplugins.models.custom_llava.packed_rows import joined

BAR = 1.8
BATCH, ROW = 8, 512
WIDTH, PATCHES = 32, 32
LLM = {"hidden_size": 768, "layers": 2, "vocabulary": 2048, "intermediate_size": 2048}
TOWER = {"in_chans": WIDTH, "embed_dim": 32, "depth": 1, "num_heads": 4, "segment_lengths": [64], "dilated_ratios": [1]}

Sample = dict[str, Tensor]


def make_model(folder: Path) -> Any:
    """Return an untrained model that reads bags and shows the language model 33 tokens of each."""
    llm = build_tiny_llm(folder / "llm", [prompts.SYSTEM_PROMPT, prompts.REPORT_REQUEST] * 4, tied=False, **LLM)
    parts = {"vision_model_name": "longnet_vit", "mm_projector_type": "gamma_mlp", "random_vision_seed": 0}
    spec = ComposeSpec(llm=str(llm), vision_config=TOWER, image_seq_length=PATCHES, **parts)
    return AutoModelForImageTextToText.from_pretrained(compose(spec, folder / "model")).train()


def make_samples(count: int, image: int) -> list[Sample]:
    """Draw tokens and labels of samples, every other with placeholders behind its first token."""
    rng, samples = np.random.default_rng(0), []
    for number in range(count):
        shown = [image] * (PATCHES + 1 if number % 2 else 0)
        answer = int(np.clip(rng.lognormal(2.5, 1.3), 1, 400))
        asked = rng.integers(10, 200, rng.integers(12, 41)).tolist()
        ids = torch.tensor([asked[0], *shown, *asked[1:], *rng.integers(10, 200, answer).tolist()])
        labels = ids.clone()
        labels[: len(ids) - answer] = -100
        samples.append({"input_ids": ids, "labels": labels, "attention_mask": torch.ones_like(ids)})
        if shown:
            samples[-1]["bag"] = torch.from_numpy(rng.standard_normal((PATCHES, WIDTH), np.float32))
    return samples


def batch_of(samples: list[Sample]) -> dict[str, Tensor]:
    """Pad samples to the longest, with a bag for each that shows one."""
    fills = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    text = {name: pad_sequence([s[name] for s in samples], True, value) for name, value in fills.items()}
    bags = [sample["bag"] for sample in samples if "bag" in sample]
    if not bags:
        return text
    places = torch.arange(PATCHES).repeat(len(bags))
    coords = torch.stack([places % 8, places // 8], 1) * 256
    vision = {"patch_features": torch.cat(bags), "patch_coords": coords}
    return {**text, **vision, "patch_counts": torch.full((len(bags),), PATCHES)}


def rows_of(samples: list[Sample], rows: list[list[int]], image: int) -> dict[str, Tensor]:
    """Put samples into rows."""
    batch = batch_of([samples[sample] for row in rows for sample in row])
    return {**batch, **joined(batch, [len(row) for row in rows], padding=0, hidden=image, multiple=8)}


def learn(model: Any, batches: list[dict[str, Tensor]]) -> Callable[[], None]:
    """Return the call that goes forward and backward over all batches."""

    def call() -> None:
        for batch in batches:
            model(**batch).loss.backward()
            model.zero_grad()

    return call


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder))
    image = model.config.image_token_id
    samples = make_samples(options.samples, image)
    lengths = [len(sample["input_ids"]) for sample in samples]
    order = np.random.default_rng(1).permutation(len(samples)).tolist()
    rows = list(fill(lengths, order, ROW))
    steps = [rows[at : at + 2] for at in range(0, len(rows), 2)]
    sides = {
        "rows": [rows_of(samples, step, image) for step in steps],
        "batch": [batch_of([samples[n] for n in order[at : at + BATCH]]) for at in range(0, len(order), BATCH)],
        "one": [batch_of([sample]) for sample in samples],
    }
    calls = [learn(model, batches) for batches in sides.values()]
    seconds, tokens = dict(zip(sides, fastest(calls, options.repeats), strict=True)), sum(lengths)
    each = f"{min(lengths)} to {max(lengths)} each, {len(samples) / len(rows):.1f} a row"
    print(f"{len(samples)} samples, {tokens} tokens, {each}")
    print(f"{'':>6} {'positions':>9} {'seconds':>8} {'tokens/s':>9}")
    for name, batches in sides.items():
        positions = sum(batch["input_ids"].numel() for batch in batches)
        print(f"{name:>6} {positions:>9} {seconds[name]:>8.2f} {tokens / seconds[name]:>9.0f}")
    model.eval()
    with torch.no_grad():
        whole = batch_of([samples[n] for row in rows for n in row]), rows_of(samples, rows, image)
        losses = [model(**batch).loss for batch in whole]
    told = [
        verdict("tokens per second, rows / batch", seconds["batch"] / seconds["rows"], BAR, at_most=False),
        verdict("loss, difference / 1e-5", abs(float(losses[0] - losses[1])) / 1e-5, 1, at_most=True),
    ]
    print("".join(text for text, _ in told), end="")
    print(f"rows / one: {seconds['one'] / seconds['rows']:.2f}")
    return int(not all(kept for _, kept in told))


if __name__ == "__main__":
    sys.exit(main())
