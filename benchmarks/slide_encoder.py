"""Slide encoder against dense attention: seconds of one layer, what arithmetic alone allows, and memory.

Run from the repository root: ``python -m benchmarks.slide_encoder [--threads N] [--backward]``, and with ``--memory``
for the second table. Float32, CPU, one released-size layer, untrained weights. Dense is the same layer with
``F.scaled_dot_product_attention`` over the bag. Ratios *dense / dilated* above 1 mean that dilated attention is faster;
the FLOP ratio counts matrix products only. One thread and seconds of the processor unless ``--threads`` says otherwise.

Bound: the FLOPs of all matrix products at the rate at which this machine multiplies by the layer's six weights, back
to back into memory that is there already, measured in turn with the layer. Bars of the forward pass: 1.8 times faster
than dense and within 1.25 times the bound at 10,000 patches; no slower than 1.6 times dense at 500, 1,000 and 2,000.

Memory: resident bytes at the peak of a forward pass, features to tokens, above those of weights and features, each in
a process of its own. Two layers; without a gradient more of them need no more. The least is three ``[N, C]``, 9,216
bytes per patch: a layer's input, keys and values. Bar: from one N to the next, bytes per patch grow by a tenth at most.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import MIB, fastest, in_fresh_process, peak_bytes, verdict
from pathplugins.models.towers.dilated_attention import pieces
from pathplugins.models.towers.longnet_vit import EncoderLayer, LongNetConfig, LongNetViT, SelfAttention

PATCHES = (500, 1000, 2000, 4000, 10000)
MEMORY_PATCHES = (1000, 4000, 10000, 40000)
FASTER_BAR, BOUND_BAR, SHORT_BAR, GROWTH_BAR = 1.8, 1.25, 1.6, 1.1
SHORT = 2000
"""Patches up to which dense attention may be faster."""


class DenseAttention(SelfAttention):
    """Every token sees every token of its bag."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """``[N, heads, width]`` to the same shape."""
        q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (q, k, v))  # [1, heads, N, width]
        return F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1)


def linear_flops(n: int, config: LongNetConfig) -> float:
    """Multiplications and additions of a layer's six linears over ``n`` tokens."""
    return 2 * n * config.embed_dim * (4 * config.embed_dim + 2 * config.ffn_dim)


def flops(n: int, config: LongNetConfig) -> tuple[float, float]:
    """Multiplications and additions of one forward layer over ``n`` tokens: dense, dilated."""
    linear = linear_flops(n, config)
    plan = pieces(n, config.segment_lengths, config.dilated_ratios)
    pairs = sum(p.segments * p.grown**2 / p.ratio**2 for p in plan)  # each head is in one group of R
    return linear + 4 * n**2 * config.embed_dim, linear + 4 * pairs * config.embed_dim


class Products:
    """The matrix products of a layer's linears and nothing else."""

    def __init__(self, n: int, config: LongNetConfig) -> None:
        narrow, wide = config.embed_dim, config.ffn_dim
        self.x, self.hidden = torch.randn(n, narrow), torch.randn(n, wide)
        self.square, self.up, self.down = (
            torch.randn(shape) for shape in ((narrow, narrow), (narrow, wide), (wide, narrow))
        )
        self.out = torch.empty(n, narrow)

    def __call__(self) -> None:
        """Four square ones, two of the feed-forward part."""
        for _ in range(4):
            torch.mm(self.x, self.square, out=self.out)
        torch.mm(self.x, self.up, out=self.hidden)
        torch.mm(self.hidden, self.down, out=self.out)


def compare(patches: int, repeats: int, backward: bool) -> tuple[str, float, float]:
    """One line of the table, dense / dilated, dilated / bound."""
    config, n = LongNetConfig(), patches + 1
    x = torch.randn(n, config.embed_dim)
    dense_layer, dilated_layer = EncoderLayer(config, 0), EncoderLayer(config, 0)
    dense_layer.self_attn = DenseAttention(config)

    def run(layer: EncoderLayer) -> None:
        with torch.set_grad_enabled(backward):
            y = layer(x, (n,))
            if backward:
                y.sum().backward()

    calls = [partial(run, dense_layer), partial(run, dilated_layer), Products(n, config)]
    dense, dilated, products = fastest(calls, repeats)
    dense_flops, dilated_flops = flops(n, config)
    rate = linear_flops(n, config) / products
    bound = dilated_flops * (3 if backward else 1) / rate  # two products more for each of the forward pass
    line = (
        f"{patches:>8} {dense:>9.3f} {dilated:>9.3f} {dense / dilated:>15.2f} {dense_flops / dilated_flops:>10.2f} "
        f"{rate / 1e9:>9.1f} {bound:>9.3f} {dilated / bound:>15.2f}\n"
    )
    return line, dense / dilated, dilated / bound


def seconds(repeats: int, backward: bool) -> bool:
    """Print the table of seconds; whether every bar is kept."""
    sys.stdout.write(
        f"{'patches':>8} {'dense s':>9} {'dilated s':>9} {'dense / dilated':>15} {'FLOP ratio':>10} "
        f"{'GFLOP / s':>9} {'bound s':>9} {'dilated / bound':>15}\n"
    )
    bars = []
    for patches in PATCHES:
        line, faster, over = compare(patches, repeats if patches > SHORT else 5 * repeats, backward)
        sys.stdout.write(line)
        sys.stdout.flush()
        if patches <= SHORT:
            bars.append(verdict(f"dilated / dense at {patches:,}", 1 / faster, SHORT_BAR, at_most=True))
        elif patches == PATCHES[-1]:
            bars.append(verdict(f"dense / dilated at {patches:,}", faster, FASTER_BAR, at_most=False))
            bars.append(verdict(f"dilated / bound at {patches:,}", over, BOUND_BAR, at_most=True))
    if backward:  # the bars are of the forward pass
        return True
    sys.stdout.writelines(line for line, _ in bars)
    return all(kept for _, kept in bars)


def memory(threads: int) -> bool:
    """Print the table of memory; whether its bar is kept."""
    sys.stdout.write(f"{'patches':>8} {'peak MiB':>9} {'bytes / patch':>13} {'[N, C] floats':>13}\n")
    each = []
    for patches in MEMORY_PATCHES:
        words = ("--peak", str(patches), "--threads", str(threads))
        (peak,) = in_fresh_process("benchmarks.slide_encoder", *words)
        each.append(peak / patches)
        copies = each[-1] / (4 * LongNetConfig().embed_dim)
        sys.stdout.write(f"{patches:>8} {peak / MIB:>9.0f} {each[-1]:>13.0f} {copies:>13.1f}\n")
        sys.stdout.flush()
    growth = max(later / earlier for earlier, later in pairwise(each))
    line, kept = verdict("most that bytes per patch grow from one line to the next", growth, GROWTH_BAR, at_most=True)
    sys.stdout.write(line)
    return kept


def peak(patches: int) -> int:
    """Bytes a forward pass over one bag adds to weights and features."""
    config = LongNetConfig(depth=2)
    encoder = LongNetViT(config).eval()

    @torch.no_grad()
    def run(features: Tensor) -> None:
        index = torch.arange(len(features))
        coords_xy = torch.stack([index % 200, index // 200], 1) * config.tile_size
        encoder(features, coords_xy, torch.tensor([len(features)]))

    run(torch.randn(32, config.in_chans))
    return peak_bytes(partial(run, torch.randn(patches, config.in_chans)))


def main() -> int:
    """Print a table; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--backward", action="store_true", help="time forward and backward together")
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak is not None:
        sys.stdout.write(f"{peak(options.peak)}\n")
        return 0
    return int(not (memory(options.threads) if options.memory else seconds(options.repeats, options.backward)))


if __name__ == "__main__":
    sys.exit(main())
