"""A training step of PA-LLaVA in XTuner against the same modules in a bare loop, on the same batch of tiles.

Run from the repository root in an XTuner environment: ``python -m benchmarks.pallava_step [--rounds N]``. Float32, CPU,
one thread, an untrained model of middle size: 196 tokens per tile of 224, LoRA on the language model, tower frozen,
dropout as published. *Ours* is ``train_step`` of `PathologyLLaVAModel` on a batch of `collate`, as XTuner calls it.
*Bare* calls tower, connector, token embedding and language model, puts the image features in by plain indexing, and
does ``backward`` and the same optimizer step. They take turns on the same weights; a ratio is the median over rounds
of one round's two times, by the clock and by the seconds of processor, which a busy machine disturbs less.

With the language model as Transformers runs it, a step cannot do with fewer matrix products than
``tower + 3 connector + 2 LLM`` (and once more the layers of the LLM when their activations are recomputed), each name
standing for its forward pass: what is frozen has no gradient of its weights, and none passes the tower at all.
PyTorch counts those of a step. *Tower*: what a step takes beyond one on stored outputs of the tower, over the tower's
forward pass without gradients: 1 when it runs once and has no backward pass, 3 if it had one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.optim import OptimWrapper
from peft import LoraConfig
from PIL import Image
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pathplugins.data import prompts
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.compose.tiny_llm import build_tiny_llm
from pathplugins.xtuner.collate import collate
from pathplugins.xtuner.model import PathologyLLaVAModel
from pathplugins.xtuner.optim import adamw_by_module
from pathplugins.xtuner.parts import load_model, load_processor

BAR = 1.02
MAX_NORM = 1.0
TOWER = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 4}
CONNECTOR = {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 1024}
LLM = {"hidden_size": 256, "layers": 4, "vocabulary": 2048, "intermediate_size": 896}
ANSWER = "The image shows a gland whose lumen is filled with necrotic debris. " * 3
IMAGES = ((400, 200), (900, 700))
"""(w, h) pixels: thumbnail and 4 tiles, thumbnail and 6."""
HEAD = (
    f"{'checkpointing':>13} {'ours s':>7} {'bare s':>7} {'ratio':>7} {'processor':>10} {'25 %':>6} {'75 %':>6} "
    f"{'added ms':>9} {'FLOP/bare':>10} {'FLOP/least':>11} {'tower':>6}"
)

Times = dict[str, list[tuple[float, float]]]
"""Call -> seconds by the clock and of the processor, per round."""


def make_model(folder: Path) -> str:
    """Compose a directory: ViT with PLIP's tokens, `scale_invariant` connector, Llama."""
    llm = build_tiny_llm(folder / "llm", [prompts.PATCH_SYSTEM_PROMPT, ANSWER] * 4, tied=False, **LLM)
    parts = {"vision_model_name": "plip", "mm_projector_type": "scale_invariant"}
    spec = ComposeSpec(llm=str(llm), random_vision_seed=0, vision_config=TOWER, projector_config=CONNECTOR, **parts)
    return str(compose(spec, folder / "model"))


def make_batch(folder: Path, model: str) -> dict[str, Any]:
    """Make a batch as XTuner's dataloader hands it over."""
    processor = load_processor(model)
    asked, told = processor.tokenizer([prompts.PATCH_SYSTEM_PROMPT, ANSWER], add_special_tokens=False)["input_ids"]
    image = [processor.image_token_id] * processor.image_processor.tokens_per_tile
    instances = []
    for number, (w, h) in enumerate(IMAGES):
        path = folder / f"{number}.png"
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (h, w, 3), np.uint8)).save(path)
        answer = told[: len(told) - 5 * number]  # texts of other lengths
        ids = [*asked, *image, *answer]
        labels = [-100] * (len(ids) - len(answer)) + answer
        instances.append({"input_ids": ids, "labels": labels, "images": [str(path)], "epoch": 0})
    return collate(instances, model)


class Bare:
    """The loop one would write by hand around the modules of a `custom_llava` model."""

    def __init__(self, model: PathologyLLaVAModel, optimizer: torch.optim.Optimizer) -> None:
        core = model.llm.get_base_model()
        self.tower, self.connector = core.vision_tower, core.multi_modal_projector
        self.embedding, self.causal = core.get_input_embeddings(), core._causal.train()
        self.image_token_id, self.optimizer = core.config.image_token_id, optimizer
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def loss(self, batch: dict[str, Any]) -> Tensor:
        """Tower, connector, embedding, language model."""
        text = {name: batch["data"][name] for name in ("attention_mask", "position_ids", "labels")}
        ids = batch["data"]["input_ids"]  # [B, L]
        is_image = ids == self.image_token_id
        _, tokens = self.tower(batch["data"]["pixel_values"])  # [T, N, C]
        features = self.connector(tokens, batch["data"]["tile_counts"].tolist())  # [I, N, H]
        embeds = self.embedding(ids.masked_fill(is_image, 0)).clone()  # [B, L, H]
        embeds[is_image] = features.flatten(0, 1)
        return self.causal(inputs_embeds=embeds, use_cache=False, **text).loss

    def step(self, batch: dict[str, Any]) -> Tensor:
        """Forward, backward, clipping, optimizer."""
        loss = self.loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, MAX_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def least_flops(self, batch: dict[str, Any], *, recomputed: bool) -> float:
        """Compute the lower bound of the module's docstring."""
        counts = batch["data"]["tile_counts"].tolist()
        self.causal.eval()
        with torch.no_grad():
            _, tokens = self.tower(batch["data"]["pixel_values"])  # [T, N, C]
            embeds = self.embedding(batch["data"]["input_ids"].clamp_max(0))  # [B, L, H]
            tower = flops(lambda: self.tower(batch["data"]["pixel_values"]))
            connector = flops(lambda: self.connector(tokens, counts))
            llm = flops(lambda: self.causal(inputs_embeds=embeds, use_cache=False))
            layers = flops(lambda: self.causal.model(inputs_embeds=embeds, use_cache=False))
        self.causal.train()
        return tower + 3 * connector + 2 * llm + recomputed * layers


def flops(call: Callable[[], object]) -> float:
    """Multiplications and additions; attention as plain matrix products, which the counter knows."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


class Calls(NamedTuple):
    """What is timed, on one set of weights with one optimizer."""

    ours: Callable[[], object]
    bare: Callable[[], object]
    stored: Callable[[], object]
    """As ours, the tower's outputs being there already."""
    tower: Callable[[], object]
    """Its forward pass alone, without gradients."""


def make_calls(directory: str, batch: dict[str, Any], *, checkpointing: bool) -> tuple[Calls, float]:
    """Return the calls, after ours and the bare one gave the same loss, and the least FLOP of a step."""
    lora = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.05, bias="none", task_type="CAUSAL_LM")
    llm = {"type": load_model, "model": directory, "torch_dtype": "float32"}
    model = PathologyLLaVAModel(llm, llm_lora=lora, use_activation_checkpointing=checkpointing).train()
    optimizer = adamw_by_module(model.parameters(), lr=1e-4, weight_decay=0)
    wrapper, bare = OptimWrapper(optimizer, clip_grad={"max_norm": MAX_NORM}), Bare(model, optimizer)

    def tower() -> object:
        with torch.no_grad():
            return bare.tower(batch["data"]["pixel_values"])

    outputs = tower()

    def ours() -> object:
        return model.train_step(batch, wrapper)

    def stored() -> object:
        bare.tower.forward = lambda pixel_values: outputs
        try:
            return ours()
        finally:
            del bare.tower.forward

    losses = []
    for loss in (lambda: model(**batch)["loss"], lambda: bare.loss(batch)):
        torch.manual_seed(0)  # the same dropout
        losses.append(loss())
    torch.testing.assert_close(*losses, rtol=1e-6, atol=0)
    return Calls(ours, lambda: bare.step(batch), stored, tower), bare.least_flops(batch, recomputed=checkpointing)


def spent(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds and seconds of processor."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def measure(calls: Calls, rounds: int) -> Times:
    """Measure each call in every round; every other round goes backwards."""
    times: Times = {name: [] for name in Calls._fields}
    for turn in range(rounds + 2):
        for name in Calls._fields[:: 1 if turn % 2 else -1]:
            seconds = spent(getattr(calls, name))
            if turn > 1:  # the first two warm up
                times[name].append(seconds)
    return times


def line(times: Times, ours: float, bare: float, least: float) -> tuple[str, float]:
    """One line of the table from times and FLOP, and the ratio in seconds of processor."""

    def of(name: str, clock: int) -> np.ndarray:
        return np.array(times[name])[:, clock]

    ratios = [of("ours", clock) / of("bare", clock) for clock in (0, 1)]
    added_ms = np.median(of("ours", 1) - of("bare", 1)) * 1e3
    tower = np.median((of("ours", 1) - of("stored", 1)) / of("tower", 1))
    low, high = np.quantile(ratios[1], [0.25, 0.75])
    text = (
        f"{np.median(of('ours', 0)):>7.3f} {np.median(of('bare', 0)):>7.3f} {np.median(ratios[0]):>7.3f} "
        f"{np.median(ratios[1]):>10.3f} {low:>6.3f} {high:>6.3f} {added_ms:>9.1f} {ours / bare:>10.4f} "
        f"{ours / least:>11.3f} {tower:>6.2f}"
    )
    return text, float(np.median(ratios[1]))


def main() -> int:
    """Print the table; 1 when a step takes longer than the bar allows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder))
        batch = make_batch(Path(folder), model)
        tiles, text = batch["data"]["tile_counts"].tolist(), list(batch["data"]["input_ids"].shape)
        print(f"tiles {tiles}, tokens {text}, {rounds} rounds")
        print(HEAD)
        for checkpointing in (False, True):
            calls, least = make_calls(model, batch, checkpointing=checkpointing)
            counted = flops(calls.ours), flops(calls.bare), least
            text, ratio = line(measure(calls, rounds), *counted)
            print(f"{'on' if checkpointing else 'off':>13} {text}")
            ratios.append(ratio)
    print(f"bar {BAR}: {'kept' if max(ratios) <= BAR else 'MISSED'} (seconds of processor)")
    return int(max(ratios) > BAR)


if __name__ == "__main__":
    sys.exit(main())
