"""Features of any encoder: a long bag outside the language model, and a training step against the bare modules.

Run from the repository root: ``python -m benchmarks.features [--rows N --width D --repeats R]``, on one thread.

*Long bag*: N rows of D float16 features in the layout of ours, in the page cache: expansion (the prompt with its N
placeholders tokenized), collate (the bag read and packed), tower and selector (`features`, `none`). The bound is a copy
of the bag's bytes. *Memory* is the peak of all three in a process of its own over the bag's bytes.

*Step*: forward and backward of `custom_llava` with `features` and `mlp2x_gelu` against the same modules called by hand:
connector, embedding, one `masked_scatter`, language model. FLOPs are the same; what is above 1 is what we add.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForImageTextToText, AutoProcessor

from benchmarks.measure import clock, fastest, in_fresh_process, peak_bytes, verdict
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.compose.tiny_llm import build_tiny_llm
from pathplugins.models.custom_llava.auto import register

SECONDS_BAR, MEMORY_BAR, STEP_BAR = 0.4, 1.3, 1.02
SIDE_PX0 = 256
STEP_ROWS, STEP_LAYERS, STEP_WIDTH = 2048, 4, 256
"""Of the step: rows of its bag, layers and width of its language model."""
PROMPT = "<image>\nWhat does this slide show?"


def write(path: Path, rows: int, width: int) -> None:
    """Write a bag of random features."""
    cells = np.arange(rows)
    columns = 256
    sides = {"patch_size": SIDE_PX0, "patch_size_level0": SIDE_PX0, "mpp": 0.5, "level0_mpp": 0.5}
    size = {"level0_width": columns * SIDE_PX0, "level0_height": (rows // columns + 1) * SIDE_PX0}
    attributes = BagAttributes(slide_id=path.stem, encoder="random", **sides, **size)
    values = np.random.default_rng(0).standard_normal((rows, width), dtype=np.float32)
    write_bag(path, [values], np.stack([cells // columns, cells % columns], 1) * SIDE_PX0, attributes)


def make(folder: Path, width: int, **llm: Any) -> Path:
    """Compose a model that reads such bags whole."""
    text = [PROMPT] * 4
    model = build_tiny_llm(folder / "llm", text, **llm)
    spec = ComposeSpec(
        llm=str(model),
        vision_model_name="features",
        vision_config={"feature_dim": width},
        mm_projector_type="mlp2x_gelu",
        vision_feature_select_mode="none",
        patches_per_wsi=None,
    )
    return compose(spec, folder / "model")


def loaded(folder: Path) -> tuple[Any, Any]:
    """Return the model in float32 and its processor."""
    register()
    model = AutoModelForImageTextToText.from_pretrained(folder, torch_dtype=torch.float32)
    return model, AutoProcessor.from_pretrained(folder)


def outside(model: Any, processor: Any, bag: Path) -> dict[str, float]:
    """Do all that is done of a bag before the connector; seconds of each part."""
    times, start = {}, clock()
    count = processor.num_image_tokens(bag)
    text = processor.text_inputs([PROMPT], [[count]])
    times["expansion"], start = clock() - start, clock()
    vision = processor.image_processor([bag])
    times["collate"], start = clock() - start, clock()
    with torch.no_grad():
        chosen = model.select_image_tokens(**vision)
    times["tower"] = clock() - start
    if chosen.counts != [count] or int((text["input_ids"] == processor.image_token_id).sum()) != count:
        raise SystemExit(f"{count} tokens were promised, {chosen.counts} came")
    return times


def long_bag(folder: Path, options: argparse.Namespace) -> list[tuple[str, bool]]:
    """Print the times of the long bag; the verdicts."""
    bag, small = folder / "long.h5", folder / "small.h5"
    write(bag, options.rows, options.width)
    write(small, 64, options.width)
    directory = make(folder, options.width)
    model, processor = loaded(directory)
    runs = [outside(model, processor, bag) for _ in range(options.repeats + 1)][1:]
    best = min(runs, key=lambda run: sum(run.values()))
    data = torch.empty(options.rows, options.width, dtype=torch.float16).uniform_()
    (bound,) = fastest([partial(torch.empty_like(data).copy_, data)], options.repeats)
    told = ", ".join(f"{name} {seconds * 1e3:.1f}" for name, seconds in best.items())
    sys.stdout.write(f"{options.rows:,} rows of {options.width}: {told} ms; bound (copy) {bound * 1e3:.1f} ms\n")
    words = ("--peak", str(directory), str(bag), str(small), "--rows", str(options.rows))
    memory = in_fresh_process("benchmarks.features", *words, "--width", str(options.width))[0]
    return [
        verdict("seconds outside the language model", sum(best.values()), SECONDS_BAR, at_most=True),
        verdict("memory / bytes of the bag", memory, MEMORY_BAR, at_most=True),
    ]


def peak(directory: Path, bag: Path, small: Path, size: int) -> float:
    """Peak of all that is done outside over the bytes of the bag; meant for a fresh process."""
    model, processor = loaded(directory)
    outside(model, processor, small)
    return peak_bytes(lambda: outside(model, processor, bag)) / size


def step(folder: Path, options: argparse.Namespace) -> list[tuple[str, bool]]:
    """Print the time of a step against the bare modules; the verdict."""
    bag = folder / "step.h5"
    write(bag, STEP_ROWS, options.width)
    size = {"hidden_size": STEP_WIDTH, "intermediate_size": 3 * STEP_WIDTH, "layers": STEP_LAYERS}
    model, processor = loaded(make(folder / "step", options.width, **size))
    model.train()
    batch = processor([PROMPT], [[bag]])
    batch["labels"] = batch["input_ids"].masked_fill(batch["input_ids"] == processor.image_token_id, -100)
    bare = partial(by_hand, model, batch, processor.image_token_id)
    ours = partial(lambda: model(**batch).loss)
    if not torch.allclose(ours(), bare(), atol=1e-5):
        raise SystemExit("the bare modules compute another loss")
    hand, whole = fastest([partial(one_step, model, bare), partial(one_step, model, ours)], 3 * options.repeats)
    sys.stdout.write(f"step of {STEP_ROWS:,} vision tokens: by hand {hand * 1e3:.1f} ms, ours {whole * 1e3:.1f} ms\n")
    return [verdict("step / bare modules", whole / hand, STEP_BAR, at_most=True)]


def by_hand(model: Any, batch: Any, image_token: int) -> torch.Tensor:
    """Return the loss of the bare modules."""
    is_image = batch["input_ids"] == image_token
    tokens = model.multi_modal_projector(batch["patch_features"])
    embeds = model.get_input_embeddings()(batch["input_ids"].masked_fill(is_image, 0))
    embeds = embeds.masked_scatter(is_image[..., None].expand_as(embeds), tokens)
    causal = model._causal
    return causal(inputs_embeds=embeds, attention_mask=batch["attention_mask"], labels=batch["labels"]).loss


def one_step(model: nn.Module, loss: Any) -> None:
    """Run forward and backward."""
    model.zero_grad(set_to_none=True)
    loss().backward()


def main() -> int:
    """Print both comparisons; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=38_400)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peak", nargs=3, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak is not None:
        sys.stdout.write(f"{peak(*options.peak, options.rows * options.width * 2)}\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        verdicts = [*long_bag(Path(folder), options), *step(Path(folder), options)]
    sys.stdout.writelines(line for line, _ in verdicts)
    return int(not all(kept for _, kept in verdicts))


if __name__ == "__main__":
    sys.exit(main())
