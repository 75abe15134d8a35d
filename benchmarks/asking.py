"""Asking: a second question about an open slide against a bare ``generate``, and how soon ``ask`` says its first word.

Run: python -m benchmarks.asking [--rounds 5] [--starts 4]

*Second question*: `pathplugins.commands.answering.answer` with streamed words about an opened bag, against
``model.generate`` of the same prompt and the same number of tokens without any of our code around it, in turns, one
thread, seconds of the processor. ``generate`` encodes the bag, which the open slide has done already; the bound is a
``generate`` whose vision tokens are given. *Start*: from the start of the process to the first byte of the answer, and
the processor's seconds of the whole run, of ``pathplugins ask`` as it is and of the same command that imports
Transformers as it comes (`quick_start` left out), in turns, caches warm. The bound of a start is ``import torch``,
measured beside. Above it ``torch._dynamo`` is imported, which takes as long again: by decorators of Transformers 5.5's
base class, or by ``torch.distributed.tensor.parallel``, which Transformers 4.48 names. Only another torch could keep it
out, so that the bar is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.measure import clock, verdict

SECOND_BAR, START_BAR = 1.15, 0.6
QUESTION = "What does this slide show?"
TOKENS = 60
CHAT = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[assistant]"
ASK = "from pathplugins.cli import main; main({words!r})"
STARTS = {
    "torch": "import torch; print()",
    "eager": f"import pathplugins.commands.ask as ask; ask.start_quickly = lambda: None; {ASK}",
    "ask": ASK,
}
"""What is started -> its program; the second imports what ``ask`` leaves out."""


def make(root: Path, *, hidden: int = 256, layers: int = 4) -> tuple[Path, Path]:
    """Make a model of slides with a small language model and random weights, and a bag of 2,000 patches."""
    import numpy as np
    import transformers

    from pathplugins.data.bags import BagAttributes, write_bag
    from pathplugins.data.prompts import SYSTEM_PROMPT
    from pathplugins.models.compose.compose import compose
    from pathplugins.models.compose.spec import ComposeSpec
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    llm = build_tiny_llm(root / "llm", [QUESTION, SYSTEM_PROMPT], hidden_size=hidden, layers=layers)
    tokenizer = transformers.AutoTokenizer.from_pretrained(llm)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(llm)
    tower = {
        "in_chans": 64,
        "embed_dim": 48,
        "depth": 2,
        "num_heads": 4,
        "segment_lengths": [64],
        "dilated_ratios": [1],
    }
    spec = ComposeSpec(
        llm=str(llm), vision_config=tower, random_vision_seed=0, image_seq_length=64, patches_per_wsi=512
    )
    model = compose(spec, root / "vlm")
    size = {"patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
    about = BagAttributes(
        slide_id="s", encoder="none", patch_size=256, **size, level0_width=51_200, level0_height=25_600
    )
    cells = np.stack([np.arange(2000) // 50, np.arange(2000) % 50], 1)
    features = np.random.default_rng(0).standard_normal((2000, 64)).astype(np.float32)
    write_bag(root / "slide.h5", [features], cells * 512, about)
    return model, root / "slide.h5"


def second_question(model: Path, bag: Path, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Return the seconds of each round: ours, bare ``generate``, bare with the vision tokens given."""
    from pathplugins import load_model
    from pathplugins.commands.answering import answer, open_file
    from pathplugins.commands.prompting import conversation
    from pathplugins.commands.sampling import Sampling

    torch.set_num_threads(1)
    loaded = load_model(str(model), device="cpu")
    loaded.model.generation_config.eos_token_id = None  # every answer has all its tokens
    opened, prompt = open_file(loaded, bag), conversation(loaded.processor.tokenizer, QUESTION)
    whole, given = loaded.processor([prompt], [[bag]]), opened.inputs(prompt)
    own = {"max_new_tokens": TOKENS, "do_sample": False, "pad_token_id": loaded.processor.tokenizer.pad_token_id}
    calls: list[Callable[[], object]] = [
        lambda: answer(loaded, opened, prompt, Sampling(max_new_tokens=TOKENS), on_text=lambda _: None),
        lambda: loaded.model.generate(**whole, **own),
        lambda: loaded.model.generate(**given, **own),
    ]
    spent: tuple[list[float], ...] = ([], [], [])
    for turn in range(rounds + 1):
        for call, seconds in zip(calls, spent, strict=True):
            start = clock()
            call()
            if turn:  # the first warms up
                seconds.append(clock() - start)
    return spent


def start_s(name: str, model: Path, bag: Path) -> tuple[float, float]:
    """Return seconds until the first byte of the answer, and of processor of the whole run."""
    words = ["ask", str(model), "--bag", str(bag), "--question", QUESTION, "--device", "cpu", "--max-new-tokens", "1"]
    began, code = time.perf_counter(), STARTS[name].format(words=words)
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stderr is not None
    first = run.stdout.read(1)
    seen = time.perf_counter() - began
    said = run.stderr.read().decode()
    _, status, used = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode or not first:
        raise RuntimeError(f"{name} ended with {run.returncode}:\n{said[-2000:]}")
    return seen, used.ru_utime + used.ru_stime


def main() -> int:
    """Print the ratios; 1 when one misses its bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="of the second question")
    parser.add_argument("--starts", type=int, default=4, help="of each program")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {"OMP_NUM_THREADS": "1", "PATHPLUGINS_CACHE": f"{name}/cache"}
        model, bag = make(Path(name))
        ours, bare, given = second_question(model, bag, options.rounds)
        starts = [{name: start_s(name, model, bag) for name in STARTS} for _ in range(options.starts + 1)][1:]
    second = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    bound = statistics.median(a / b for a, b in zip(ours, given, strict=True))
    sys.stdout.write(f"second question {min(ours):.3f} s, generate {min(bare):.3f} s, with vision tokens given ")
    sys.stdout.write(f"{min(given):.3f} s; ratio to the last, the bound: {bound:.2f}\n")
    for name in STARTS:
        wall, cpu = (min(start[name][each] for start in starts) for each in (0, 1))
        sys.stdout.write(f"start of {name:6} {wall:6.2f} s to the first byte, {cpu:6.2f} s of processor\n")
    ratio = statistics.median(start["ask"][1] / start["eager"][1] for start in starts)
    wall = statistics.median(start["ask"][0] / start["eager"][0] for start in starts)
    sys.stdout.write(f"start to first byte, wall clock: {wall:.2f} of the eager one\n")
    lines = [
        verdict("second question / bare generate", second, SECOND_BAR, at_most=True),
        verdict("start of ask / eager imports, processor", ratio, START_BAR, at_most=True),
    ]
    sys.stdout.write("".join(line for line, _ in lines))
    return int(not all(kept for _, kept in lines))


if __name__ == "__main__":
    sys.exit(main())
