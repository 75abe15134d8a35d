"""Serving: questions a second through ``pathplugins serve`` against a bare ``generate`` of the same batches.

A small untrained model (eight layers of 256) on one thread, bags that were asked about before, answers of 48 tokens.
The bare loop is handed ready inputs, eight at a time, and does nothing but generate. The server is asked over HTTP by
sixteen clients at once, and by one client, one question after the other. The three take turns. The bars are about the
processor's seconds, of all threads of the server, which other programs disturb less than the clock: a server that waits
for nobody answers at least that fast. What the clock says is printed too.

Run: python -m benchmarks.serving [--questions 64] [--repeats 3]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import httpx
import numpy as np
import torch
from transformers import AutoModelForImageTextToText, AutoTokenizer

from benchmarks.measure import verdict
from pathplugins.commands.answering import open_file
from pathplugins.commands.loading import LoadedModel, load_model
from pathplugins.commands.prompting import conversation
from pathplugins.commands.sampling import Sampling
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.data.prompts import SYSTEM_PROMPT
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.compose.tiny_llm import build_tiny_llm
from pathplugins.models.custom_llava.opened_image import batch_inputs

BATCH, CLIENTS, TOKENS, WIDTH = 8, 16, 48, 64
QUESTIONS = [f"What does slide {number} show, and how sure are you?" for number in range(8)]
CHAT = (
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>{{ m['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>{% endif %}"
)


def make_model(folder: Path) -> Path:
    """Write the model; it never ends an answer by itself, so that all are equally long."""
    texts = [*QUESTIONS, SYSTEM_PROMPT] * 3
    llm = build_tiny_llm(folder / "llm", texts, hidden_size=256, layers=8, vocabulary=1024, tied=False)
    tokenizer = AutoTokenizer.from_pretrained(llm)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(llm)
    tower = {"in_chans": WIDTH, "embed_dim": 48, "depth": 2, "num_heads": 4}
    tower |= {"segment_lengths": [64], "dilated_ratios": [1]}
    spec = ComposeSpec(
        llm=str(llm), vision_config=tower, random_vision_seed=0, image_seq_length=16, patches_per_wsi=100
    )
    made = compose(spec, folder / "hf_model")
    model = AutoModelForImageTextToText.from_pretrained(made, torch_dtype=torch.float32)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids("<|eom_id|>")
    model.generation_config.suppress_tokens = [model.generation_config.eos_token_id]
    model.save_pretrained(made)
    return made


def make_bags(folder: Path) -> list[Path]:
    """Write a bag for each question."""
    folder.mkdir()
    paths = [folder / f"slide_{number}.h5" for number in range(len(QUESTIONS))]
    for number, path in enumerate(paths):
        sizes = {"patch_size": 256, "patch_size_level0": 256, "mpp": 0.5, "level0_mpp": 0.5}
        side = BagAttributes(slide_id=path.stem, encoder="none", level0_width=9999, level0_height=9999, **sizes)
        coords = np.stack([np.arange(300) // 30, np.arange(300) % 30], 1) * 256
        write_bag(path, [np.random.default_rng(number).standard_normal((300, WIDTH))], coords, side)
    return paths


@contextmanager
def server(model: Path, bags: Path) -> Iterator[tuple[str, int]]:
    """Run the server for a block; gives its URL and its process."""
    words = [sys.executable, "-m", "pathplugins.cli", "serve", str(model), "--root", str(bags), "--port", "0"]
    process = subprocess.Popen(
        [*words, "--device", "cpu", "--max-batch", str(BATCH)], stderr=subprocess.PIPE, text=True
    )
    try:
        url = None
        for line in process.stderr:
            url = url or next(iter(re.findall(r"answers at (http://\S+)/v1", line)), None)
            if "startup complete" in line:
                break
        if url is None:
            raise SystemExit("the server did not start")
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


def bare_loop(model: LoadedModel, bags: list[Path], count: int) -> Callable[[], list[str]]:
    """Return a call that generates ``count`` answers, and nothing else."""
    tokenizer: Any = model.processor.tokenizer
    opened = [open_file(model, path) for path in bags]
    prompts = [conversation(tokenizer, question) for question in QUESTIONS]
    asked = [number % len(QUESTIONS) for number in range(count)]
    batches = [
        batch_inputs(
            [opened[each] for each in asked[start : start + BATCH]],
            [prompts[each] for each in asked[start : start + BATCH]],
        )
        for start in range(0, count, BATCH)
    ]
    options = Sampling(max_new_tokens=TOKENS).options() | {"pad_token_id": tokenizer.pad_token_id}

    def run() -> list[str]:
        outputs = [(inputs, model.model.generate(**inputs, **options)) for inputs in batches]
        new = [ids for inputs, output in outputs for ids in output[:, inputs["input_ids"].shape[1] :]]
        return [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in new]

    return run


def asked_over_http(url: str, bags: list[Path], count: int, clients: int) -> Callable[[], list[str]]:
    """Return a call that asks ``count`` questions, ``clients`` at once."""

    def body(number: int) -> dict[str, Any]:
        parts = [
            {"type": "text", "text": QUESTIONS[number]},
            {"type": "image_url", "image_url": {"url": bags[number].name}},
        ]
        return {"max_tokens": TOKENS, "messages": [{"role": "user", "content": parts}]}

    async def ask_all() -> list[str]:
        told: dict[int, str] = {}
        left = iter(range(count))
        async with httpx.AsyncClient(base_url=url, timeout=600) as client:

            async def one_client() -> None:
                for number in left:
                    reply = await client.post("/v1/chat/completions", json=body(number % len(QUESTIONS)))
                    told[number] = reply.raise_for_status().json()["choices"][0]["message"]["content"]

            await asyncio.gather(*(one_client() for _ in range(clients)))
        return [told[number] for number in range(count)]

    return lambda: asyncio.run(ask_all())


def processor_s(pid: int) -> float:
    """Return the seconds of the processor that all threads of a process have had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    few = max(args.questions // 8, 4)
    with tempfile.TemporaryDirectory() as folder:
        path, bags = make_model(Path(folder)), make_bags(Path(folder) / "bags")
        bare = bare_loop(load_model(path, device="cpu"), bags, args.questions)
        with server(path, Path(folder) / "bags") as (url, pid):
            many = asked_over_http(url, bags, args.questions, CLIENTS)
            single = asked_over_http(url, bags, few, 1)
            told = bare()
            if many() != told or single() != told[:few]:
                raise SystemExit("the answers differ")
            runs = {"bare": (bare, os.getpid(), args.questions), "served": (many, pid, args.questions)}
            runs["one"] = (single, pid, few)
            spent: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
            for _ in range(args.repeats):
                for name, (call, whose, count) in runs.items():
                    began, wall = processor_s(whose), time.perf_counter()
                    call()
                    took = processor_s(whose) - began, time.perf_counter() - wall
                    spent[name].append((took[0] / count, took[1] / count))
    (alone, a), (served, s), (one, o) = (map(min, zip(*times, strict=True)) for times in spent.values())
    for name, cpu, wall in (
        (f"bare generate, batches of {BATCH}", alone, a),
        (f"served, {CLIENTS} clients at once", served, s),
        ("served, one after the other", one, o),
    ):
        sys.stdout.write(f"{name}: {1 / cpu:.1f} answers a second of the processor, {1 / wall:.1f} of the clock\n")
    lines = [
        verdict("served / bare", alone / served, 0.9, at_most=False),
        verdict("served / one after the other", one / served, 3.0, at_most=False),
    ]
    sys.stdout.writelines(line for line, _ in lines)
    return int(not all(kept for _, kept in lines))


if __name__ == "__main__":
    raise SystemExit(main())
