"""Slide encoder against dense attention: seconds of one layer, and what arithmetic alone allows.

Run from the repository root: ``python -m benchmarks.slide_encoder [--threads N] [--backward]``. Float32, CPU, one
released-size layer, untrained weights. Dense is the same layer with ``F.scaled_dot_product_attention`` over the bag.
Ratios above 1 mean that dilated attention is faster; the FLOP ratio counts matrix products only.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from pathplugins.models.towers.dilated_attention import pieces
from pathplugins.models.towers.longnet_vit import EncoderLayer, LongNetConfig, SelfAttention

PATCHES = (1000, 4000, 10000)


class DenseAttention(SelfAttention):
    """Every token sees every token of its bag."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """``[N, heads, width]`` to the same shape."""
        q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (q, k, v))  # [1, heads, N, width]
        return F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1)


def flops(n: int, config: LongNetConfig) -> tuple[float, float]:
    """Multiplications and additions of one forward layer over ``n`` tokens: dense, dilated."""
    linear = 2 * n * config.embed_dim * (4 * config.embed_dim + 2 * config.ffn_dim)
    plan = pieces(n, config.segment_lengths, config.dilated_ratios)
    pairs = sum(p.segments * p.grown**2 / p.ratio**2 for p in plan)  # each head is in one group of R
    return linear + 4 * n**2 * config.embed_dim, linear + 4 * pairs * config.embed_dim


def fastest(calls: list[Callable[[], None]], repeats: int) -> list[float]:
    """Shortest time of each call in seconds; they take turns, so that a busy machine is busy for all of them."""
    times = [[] for _ in calls]
    for turn in range(repeats + 1):
        for call, spent in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            if turn:  # the first turn warms up
                spent.append(time.perf_counter() - start)
    return [min(spent) for spent in times]


def compare(patches: int, repeats: int, backward: bool) -> str:
    """One line of the table."""
    config, n = LongNetConfig(), patches + 1
    x = torch.randn(n, config.embed_dim)
    dense_layer, dilated_layer = EncoderLayer(config, 0), EncoderLayer(config, 0)
    dense_layer.self_attn = DenseAttention(config)

    def run(layer: EncoderLayer) -> None:
        with torch.set_grad_enabled(backward):
            y = layer(x, (n,))
            if backward:
                y.sum().backward()

    dense, dilated = fastest([partial(run, dense_layer), partial(run, dilated_layer)], repeats)
    dense_flops, dilated_flops = flops(n, config)
    return (
        f"{patches:>8} {dense:>10.3f} {dilated:>10.3f} {dense / dilated:>10.2f} {dense_flops / dilated_flops:>10.2f}\n"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--backward", action="store_true", help="time forward and backward together")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sys.stdout.write(f"{'patches':>8} {'dense s':>10} {'dilated s':>10} {'ratio':>10} {'FLOP ratio':>10}\n")
    for patches in PATCHES:
        sys.stdout.write(compare(patches, options.repeats, options.backward))


if __name__ == "__main__":
    main()
