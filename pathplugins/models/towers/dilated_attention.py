"""LongNet's dilated attention over one bag: segments, dilated head groups, branches mixed by their log-sum-exp.

Axes: N tokens of a bag (CLS included), H heads, D head width; R dilation ratio, G = ceil(H / R) heads in a group;
S segments, M = tokens of one segment seen by one group. A *branch* is one (segment length, ratio) pair. In a branch,
group j (j < R) attends among the positions j, j + R, ... of each segment. Memory is linear in N.

The published kernel is reproduced where it matters for trained weights: the missing positions of a last segment
take part as keys and values of zero, and a segment length that is no multiple of its ratio makes every segment grow
to the next multiple, which moves the outputs of the second and later segments away from their tokens.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_SCORES = 1 << 22
"""Attention scores the plain kernel holds at a time (16 MiB in float32)."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Equally long segments of one branch, run as one attention batch."""

    first: int
    """Index of the first token read."""
    first_out: int
    """Index of the first token written; differs from ``first`` only when segments grow."""
    segments: int
    length: int
    """Tokens read per segment."""
    grown: int
    """``length`` raised to a multiple of ``ratio``; the added positions are zero."""
    ratio: int
    zero_keys: int
    """Zero keys every head sees in addition, for the part of the segment beyond the end of the bag."""
    copies: int
    """Branches that are this very branch for this bag; computed once, counted so often."""


@lru_cache(maxsize=4096)
def pieces(n: int, segment_lengths: tuple[int, ...], ratios: tuple[int, ...]) -> tuple[Piece, ...]:
    """Return the attention calls a bag of ``n`` tokens needs: per branch its whole segments, then what is left over."""
    branches = Counter((min(length, n), ratio) for length, ratio in zip(segment_lengths, ratios, strict=True))
    plan: list[Piece] = []
    for (length, ratio), copies in branches.items():
        grown = _next_multiple(length, ratio)
        segments, rest = divmod(n, length)
        whole = Piece(
            first=0,
            first_out=0,
            segments=segments,
            length=length,
            grown=grown,
            ratio=ratio,
            zero_keys=0,
            copies=copies,
        )
        plan.append(whole)
        if rest:
            rest_grown = _next_multiple(rest, ratio)
            left_over = Piece(
                first=segments * length,
                first_out=segments * grown,
                segments=1,
                length=rest,
                grown=rest_grown,
                ratio=ratio,
                zero_keys=(grown - rest_grown) // ratio,
                copies=copies,
            )
            plan.append(left_over)
    return tuple(plan)


def dilated_attention(
    q: Tensor, k: Tensor, v: Tensor, *, segment_lengths: tuple[int, ...], ratios: tuple[int, ...]
) -> Tensor:
    """Compute dilated self-attention of one bag; ``q``, ``k``, ``v`` and the result are ``[N, H, D]``.

    Branches mix by softmax over their log-sum-exp per (token, head); no gradient flows through those weights.
    """
    n, heads, width = q.shape
    plan = pieces(n, segment_lengths, ratios)
    results = []
    for piece in plan:
        split = (_split(x, piece) for x in (q, k, v))
        results.append(attend(*split, zero_keys=piece.zero_keys))  # [S * R, G, M, D], [S * R, G, M]

    rows = max(piece.first_out + piece.segments * piece.grown for piece in plan)
    padded_heads = max(_next_multiple(heads, piece.ratio) for piece in plan)
    total = results[0][1].new_full((rows, padded_heads), -torch.inf)
    for piece, (_, lse) in zip(plan, results, strict=True):
        covered = _covered(total, piece, heads)
        covered.copy_(torch.logaddexp(covered, _join(lse, piece) + math.log(piece.copies)))

    mixed = q.new_zeros(rows, padded_heads, width)
    for piece, (out, lse) in zip(plan, results, strict=True):
        share = (_join(lse, piece) + math.log(piece.copies) - _covered(total, piece, heads)).exp()  # [S, M, G, R]
        _covered(mixed, piece, heads).addcmul_(_join(out, piece), share.unsqueeze(-2).to(out.dtype))  # [S, M, G, D, R]
    return mixed[:n, :heads]  # [N, H, D]


def _next_multiple(number: int, base: int) -> int:
    return -(-number // base) * base


def _split(x: Tensor, piece: Piece) -> Tensor:
    """Return the tokens each head group of a piece sees: ``[N, H, D]`` to ``[S * R, G, M, D]``."""
    ratio, heads = piece.ratio, _next_multiple(x.shape[1], piece.ratio)
    x = x[piece.first : piece.first + piece.segments * piece.length]
    x = x.unflatten(0, (piece.segments, piece.length))  # [S, length, H, D]
    if heads > x.shape[2]:
        x = F.pad(x, (0, 0, 0, heads - x.shape[2]))
    even = piece.length // ratio * ratio
    parts = [_dilate(x[:, :even], ratio)] if even else []
    if even < piece.length:  # only the ragged end is padded: copying all of x would cost more than the attention saves
        parts.append(_dilate(F.pad(x[:, even:], (0, 0, 0, 0, 0, piece.grown - piece.length)), ratio))
    return (torch.cat(parts, 3) if len(parts) > 1 else parts[0]).flatten(0, 1)


def _dilate(x: Tensor, ratio: int) -> Tensor:
    """View ``[S, M * R, G * R, D]`` by head group: ``[S, R, G, M, D]``."""
    x = x.unflatten(2, (ratio, -1)).unflatten(1, (-1, ratio))  # [S, M, R, R, G, D]
    return x.diagonal(dim1=2, dim2=3).permute(0, 4, 2, 1, 3)


def _join(x: Tensor, piece: Piece) -> Tensor:
    """Undo the batching of an attention result: ``[S * R, G, M, ...]`` to ``[S, M, G, ..., R]``, without a copy."""
    return x.unflatten(0, (piece.segments, piece.ratio)).transpose(1, 3).movedim(3, -1)


def _covered(x: Tensor, piece: Piece, heads: int) -> Tensor:
    """View of the (token, head) pairs a piece writes: ``[rows, padded heads, ...]`` to ``[S, M, G, ..., R]``."""
    rows = slice(piece.first_out, piece.first_out + piece.segments * piece.grown)
    x = x[rows, : _next_multiple(heads, piece.ratio)]
    x = x.unflatten(1, (piece.ratio, -1)).unflatten(0, (piece.segments, -1, piece.ratio))  # [S, M, R, R, G, ...]
    return x.diagonal(dim1=2, dim2=3)


def attend(q: Tensor, k: Tensor, v: Tensor, *, zero_keys: int = 0) -> tuple[Tensor, Tensor]:
    """Compute softmax attention ``[B, H, M, D]``, and return its log-sum-exp ``[B, H, M]`` (float32, no gradient).

    ``zero_keys`` more keys of zero, with values of zero, take part. The fused kernels of PyTorch are private but the
    only ones that give the log-sum-exp; where none fits the device and type, a plain one of bounded memory is used.
    """
    if q.is_cuda and (fused := _cuda_kernel(q)):
        k, v = (F.pad(x, (0, 0, 0, zero_keys)) if zero_keys else x for x in (k, v))
        return fused(q, k, v)
    return _Attention.apply(q, k, v, zero_keys, _CPU if _CPU and q.device.type == "cpu" else _PLAIN)


def _cuda_kernel(q: Tensor) -> Callable[..., tuple[Tensor, Tensor]] | None:
    width, ampere = q.shape[-1], torch.cuda.get_device_capability(q.device) >= (8, 0)
    if q.dtype in (torch.float16, torch.bfloat16) and ampere and width % 8 == 0 and width <= 256:
        return _cuda_flash
    if q.dtype in (torch.float32, torch.float16) and width * q.element_size() % 16 == 0:
        return _cuda_efficient
    return None


def _cuda_flash(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    out, lse, *_ = torch.ops.aten._scaled_dot_product_flash_attention(q, k, v)
    return out, lse[..., : q.shape[2]].detach()


def _cuda_efficient(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    out, lse, *_ = torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, None, True)
    return out, lse[..., : q.shape[2]].detach()  # this kernel rounds the length of its lse up to 32


class _Kernel(NamedTuple):
    forward: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
    backward: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


class _Attention(torch.autograd.Function):
    """Attention by a kernel that knows nothing of zero keys, which cost no multiplication this way.

    A zero key adds exp(0) to every denominator and nothing to any numerator: the output shrinks and the
    log-sum-exp grows. Backward kernels read both, so handing them the corrected pair gives the exact gradients.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, zero_keys: int, kernel: _Kernel) -> tuple[Tensor, Tensor]:
        out, lse = kernel.forward(q, k, v)
        if zero_keys:
            with_zeros = torch.logaddexp(lse, lse.new_tensor(math.log(zero_keys)))
            out = out * (lse - with_zeros).exp().unsqueeze(-1).to(out.dtype)
            lse = with_zeros
        ctx.kernel = kernel
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.mark_non_differentiable(lse)
        return out, lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        return (*ctx.kernel.backward(grad, *ctx.saved_tensors), None, None)


def _plain_forward(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    outs, lses = [], []
    for rows in q.split(_rows_per_chunk(q, k), dim=2):
        scores = _scores(rows, k)
        lses.append(scores.logsumexp(-1))
        outs.append((scores - lses[-1].unsqueeze(-1)).exp() @ v.to(scores.dtype))
    return torch.cat(outs, 2).to(q.dtype), torch.cat(lses, 2)


def _plain_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    scale = q.shape[-1] ** -0.5
    dq, dk, dv = [], torch.zeros_like(k, dtype=lse.dtype), torch.zeros_like(v, dtype=lse.dtype)
    size = _rows_per_chunk(q, k)
    for g_rows, q_rows, out_rows, lse_rows in zip(
        *(x.split(size, dim=2) for x in (grad.to(lse.dtype), q, out, lse)), strict=True
    ):
        weights = (_scores(q_rows, k) - lse_rows.unsqueeze(-1)).exp()
        dv += weights.mT @ g_rows
        inner = g_rows @ v.to(lse.dtype).mT - (g_rows * out_rows).sum(-1, keepdim=True)
        d_scores = weights * inner * scale
        dq.append(d_scores @ k.to(lse.dtype))
        dk += d_scores.mT @ q_rows.to(lse.dtype)
    return torch.cat(dq, 2).to(q.dtype), dk.to(k.dtype), dv.to(v.dtype)


def _scores(q: Tensor, k: Tensor) -> Tensor:
    exact = torch.promote_types(q.dtype, torch.float32)
    return (q.to(exact) * q.shape[-1] ** -0.5) @ k.to(exact).mT


def _rows_per_chunk(q: Tensor, k: Tensor) -> int:
    return max(1, CHUNK_SCORES // (k.shape[0] * k.shape[1] * k.shape[2]))


def _cpu_kernel() -> _Kernel | None:
    ops = torch.ops.aten
    name = "_scaled_dot_product_flash_attention_for_cpu"
    if not (hasattr(ops, name) and hasattr(ops, f"{name}_backward")):
        return None
    forward, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    return _Kernel(forward, lambda *tensors: backward(*tensors, 0.0, False))


_PLAIN = _Kernel(_plain_forward, _plain_backward)
_CPU = _cpu_kernel()
