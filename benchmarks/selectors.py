"""Token selectors: `prumerge` against the two obvious ways to write it, the others against the slide encoder.

Run from the repository root: ``python -m benchmarks.selectors [--threads N]``. Float32, CPU, one bag, random tokens and
keys, C = 768, K = 1,024 kept. All threads; with ``--threads 1`` seconds are the processor's, which other programs
disturb less. Everything compared takes turns.

``prumerge``, forward and backward (gradients of tokens and attention). *Loop* is the published way, with the keys
normalised once: for each kept token the cosine with all dropped ones, the nearest 32, their weighted sum. An eighth of
its K iterations is timed and scaled up, what comes before them is not counted. *Products* are its two matrix products
in one piece: kept keys by dropped keys, and a ``[K, N - K]`` matrix of weights by the dropped features, the latter
forward and backward; choosing the neighbours and preparing inputs are not counted. Each way has processes of its own:
one that inherits 50 MB of free heap from other work runs an iteration of the loop up to four times faster, for then its
gradients need no fresh pages. Peaks are resident bytes above tokens, attention and keys, preparation included; the
loop's is that of its eighth, and the whole needs 96 KiB more for each further iteration.

The least ``prumerge`` can do is the similarity, 2 K (N - K) C FLOPs, one of the four products just named (*bound* is
its time in one piece); the rest moves 32 K C floats three times and writes one gradient ``[N, C]``, which is also the
least memory. Bars: loop / ours 15 at 8,192 and 80 at 16,384, ours no slower than the products, and below both in
memory.

The others have no products: ``prompt_topk`` reads N C floats once, the rest copy K rows. Bar: 3 % of twelve encoder
layers at N = 10,000, of which one is timed.

``kmeans`` takes 256 of 40,000 tokens of width 512. Its bound is the time of its matrix products alone, 56 GFLOP in the
shapes that it has; the rest reads the distances twice and the tokens four times. Bar: 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import MIB, clock, fastest, in_fresh_process, peak_bytes, verdict
from pathplugins.data.k_means import ROUNDS, ROWS_PER_CENTRE, k_means_rows
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.selectors.base import PackedCandidates, TokenSelector
from pathplugins.models.towers.longnet_vit import EncoderLayer, LongNetConfig

WIDTH, PROMPT_WIDTH, KEPT, NEIGHBOURS = 768, 4096, 1024, 32
LOOP_BARS = {8192: 15.0, 16384: 80.0}
"""N -> how many times slower than ours the loop must be."""
LOOP_SAMPLE = 128
"""Iterations of the loop that are run."""
K_MEANS = (40_000, 512, 256)
"""Tokens, their width, tokens kept."""
PATCHES, LAYERS, SHARE_BAR = 10_000, 12, 3.0
CHEAP = ("random_sample", "stride", "linspace", "spatial", "prompt_topk")
"""Selectors held to the bar of 3 %."""


class Inputs(NamedTuple):
    """A bag of N patches."""

    tokens: Tensor
    """[N, C]."""
    attention: Tensor
    """[N], adds up to 1."""
    keys: Tensor
    """[N, C]."""


def draw(n: int) -> Inputs:
    """Make inputs whose tokens and attention want a gradient."""
    torch.manual_seed(0)
    attention = torch.randn(n).softmax(0)
    return Inputs(torch.randn(n, WIDTH).requires_grad_(), attention.requires_grad_(), torch.randn(n, WIDTH))


def choose(selector: TokenSelector, inputs: Inputs, budget: int) -> Tensor:
    """Tokens that ``selector`` keeps of one bag."""
    n = len(inputs.tokens)
    side = int(n**0.5)
    bags = PackedCandidates(
        tokens=inputs.tokens,
        coords=torch.stack([torch.arange(n) % side, torch.arange(n) // side], 1),
        counts=[n],
        seeds=[0],
        attention=inputs.attention,
        keys=inputs.keys,
        prompt=torch.ones(1, PROMPT_WIDTH),
    )
    return selector(bags, budget).tokens


def learn(out: Tensor, *leaves: Tensor) -> None:
    """Backward pass of ``out``; the gradients are thrown away."""
    torch.autograd.grad(out, leaves, torch.ones_like(out))


def ours(inputs: Inputs, budget: int) -> Callable[[], None]:
    """`prumerge` of this package."""
    selector = SELECTORS.get("prumerge")(WIDTH, PROMPT_WIDTH, k_per_token=NEIGHBOURS)
    return lambda: learn(choose(selector, inputs, budget), inputs.tokens, inputs.attention)


def halves(attention: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    """Rows kept, in the order of their attention, and rows dropped."""
    order = attention.detach().argsort(descending=True)
    return order[:budget], order[budget:].sort().values


def loop(inputs: Inputs, budget: int) -> Callable[[], None]:
    """Merge the published way, one kept token after another, a sample of them."""
    rows, dropped = halves(inputs.attention, budget)
    features = inputs.tokens.detach()[dropped].requires_grad_()  # [N - K, C]
    weights = inputs.attention.detach()[dropped].requires_grad_()  # [N - K]
    unit = F.normalize(inputs.keys[dropped], dim=1)

    def run() -> None:
        merged = []
        for row in rows[:LOOP_SAMPLE]:
            near = (unit @ inputs.keys[row]).topk(NEIGHBOURS).indices
            some = weights[near]
            total = (some.unsqueeze(1) * features[near]).sum(0) / (some.sum() + 1e-6)
            merged.append(inputs.tokens[row].detach() + total)
        learn(torch.stack(merged), features, weights)

    return run


def products(inputs: Inputs, budget: int) -> Callable[[], None]:
    """Compute the matrix products of a version without a loop, and nothing else."""
    rows, dropped = halves(inputs.attention, budget)
    features = inputs.tokens.detach()[dropped].requires_grad_()  # [N - K, C]
    kept, others = inputs.keys[rows], inputs.keys[dropped]
    weights = torch.rand(len(rows), len(dropped)).requires_grad_()  # [K, N - K]

    def run() -> None:
        similarity = kept @ others.T  # [K, N - K]; held while its weights are used
        learn(weights @ features, weights, features)
        del similarity

    return run


def similarity(inputs: Inputs, budget: int) -> Callable[[], Tensor]:
    """Compute the one product that no version can do without."""
    rows, dropped = halves(inputs.attention, budget)
    return partial(torch.mm, inputs.keys[rows], inputs.keys[dropped].T)


WAYS = {"ours": ours, "loop": loop, "products": products, "bound": similarity}


def step(name: str, n: int) -> tuple[int, float]:
    """Bytes that one step adds to tokens, attention and keys, and the seconds of a later one."""
    WAYS[name](draw(96), 64)()  # kernels, thread pools
    inputs, run = draw(n), []

    def first() -> None:
        run.append(WAYS[name](inputs, KEPT))
        run[0]()

    peak, seconds = peak_bytes(first), []
    for _ in range(1 if name == "loop" else 5):
        start = clock()
        run[0]()
        seconds.append(clock() - start)
    return peak, min(seconds) * (KEPT / LOOP_SAMPLE if name == "loop" else 1)


def compare_prumerge(rounds: int, threads: int) -> list[tuple[str, bool]]:
    """Print the table of ``prumerge``; the verdicts."""
    sys.stdout.write(f"loop: {LOOP_SAMPLE} of {KEPT} iterations, their seconds times {KEPT / LOOP_SAMPLE:g}\n")
    sys.stdout.write(f"{'N':>6} {'way':>10} {'s':>8} {'s / ours':>8} {'s / bound':>9} {'peak MiB':>8}\n")
    verdicts = []
    for n, bar in LOOP_BARS.items():
        found: dict[str, list[list[float]]] = {name: [] for name in WAYS}
        for _ in range(rounds):
            for name, pairs in found.items():
                words = ("--step", name, str(n), "--threads", str(threads))
                pairs.append(in_fresh_process("benchmarks.selectors", *words))
        peaks = {name: max(peak for peak, _ in pairs) for name, pairs in found.items()}
        seconds = {name: min(taken for _, taken in pairs) for name, pairs in found.items()}
        for name, taken in seconds.items():
            ratios = f"{taken / seconds['ours']:>8.2f} {taken / seconds['bound']:>9.2f}"
            sys.stdout.write(f"{n:>6} {name:>10} {taken:>8.3f} {ratios} {peaks[name] / MIB:>8.0f}\n")
        sys.stdout.flush()
        own, own_peak = seconds["ours"], peaks["ours"]
        verdicts += [
            verdict(f"loop / ours at {n:,}", seconds["loop"] / own, bar, at_most=False),
            verdict(f"ours / products at {n:,}", own / seconds["products"], 1.0, at_most=True),
            verdict(f"memory, ours / loop at {n:,}", own_peak / peaks["loop"], 1.0, at_most=True),
            verdict(f"memory, ours / products at {n:,}", own_peak / peaks["products"], 1.0, at_most=True),
        ]
    return verdicts


def compare_others(repeats: int) -> list[tuple[str, bool]]:
    """Print each selector's share of the encoder's time, forward only; the verdicts."""
    config, n = LongNetConfig(), PATCHES + 1
    layer, x, inputs = EncoderLayer(config, 0).eval(), torch.randn(n, config.embed_dim), draw(PATCHES)
    names = (*CHEAP, "prumerge")
    selectors = [SELECTORS.get(name)(WIDTH, PROMPT_WIDTH).eval() for name in names]
    with torch.no_grad():
        calls = [partial(choose, selector, inputs, KEPT) for selector in selectors]
        encoder, *spent = fastest([partial(layer, x, (n,)), *calls], repeats)
    encoder *= LAYERS
    sys.stdout.write(f"\n{LAYERS} encoder layers, {PATCHES:,} patches: {encoder:.2f} s\n")
    for name, taken in zip(names, spent, strict=True):
        sys.stdout.write(f"{name:>14} {taken * 1e3:>8.2f} ms {100 * taken / encoder:>7.3f} %\n")
    return [
        verdict(f"{name}, % of the encoder", 100 * taken / encoder, SHARE_BAR, at_most=True)
        for name, taken in zip(names, spent, strict=True)
        if name in CHEAP
    ]


def compare_kmeans(repeats: int) -> list[tuple[str, bool]]:
    """Print the time of ``kmeans`` beside that of its matrix products; the verdict."""
    (n, width, kept), rows = K_MEANS, ROWS_PER_CENTRE * K_MEANS[2]
    tokens, centres, member = torch.randn(n, width), torch.randn(width, kept), torch.rand(rows, kept)

    def products() -> None:
        for _ in range(ROUNDS):
            tokens[:rows] @ centres
            member.T @ tokens[:rows]
        for column in range(kept):
            tokens[:rows] @ centres[:, column]
        tokens @ centres

    own, bound = fastest([lambda: k_means_rows(tokens, kept, seed=0), products], repeats)
    sys.stdout.write(f"\nkmeans, {kept} of {n:,} x {width}: {own:.2f} s, its products {bound:.2f} s\n")
    return [verdict("kmeans / its products", own / bound, 2.0, at_most=True)]


def main() -> int:
    """Print the tables; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.step is not None:
        name, n = options.step
        sys.stdout.write("{} {}\n".format(*step(name, int(n))))
        return 0
    verdicts = compare_prumerge(options.rounds, options.threads) + compare_others(options.rounds)
    verdicts += compare_kmeans(options.rounds)
    sys.stdout.writelines(line for line, _ in verdicts)
    return int(not all(kept for _, kept in verdicts))


if __name__ == "__main__":
    sys.exit(main())
