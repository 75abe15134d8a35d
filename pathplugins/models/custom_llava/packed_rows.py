"""Rows that hold several samples: whose each token is, and a mask under which no sample sees another.

A row is packed where its positions begin at 0 more than once, as Transformers has it. Axes: B rows, T positions, S
samples, H width of the language model. Numbers are [B, T] int64: 1 for the tokens of the first sample of a row, 2 for
those of the next, 0 for what nobody sees; for rows of one sample they are the attention mask.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pathplugins.core.errors import PathPluginsError

IGNORED = -100
"""Label of a position that no loss is taken at."""
_ATTENTION = ("full_attention", "sliding_attention")


def joined(
    batch: Mapping[str, Tensor], rows: Sequence[int], *, padding: int, hidden: int, multiple: int = 1
) -> dict[str, Tensor]:
    """Put the samples of a batch into rows, one behind the other.

    The first label of a sample is taken away: nothing of it stands before, and the sample before is not to learn it.

    Args:
        batch: ``input_ids``, ``attention_mask`` and ``labels`` [S, T], of samples with padding on either side.
        rows: samples of each row, in order; [B].
        padding: token behind the shorter rows.
        hidden: token that stays although its sample does not see it: the placeholder of the blank image that stands in
            for a batch without any.
        multiple: of which the length of the rows is one.

    Returns:
        The same with ``position_ids``, [B, T'].
    """
    ids, mask, labels = (batch[name] for name in ("input_ids", "attention_mask", "labels"))
    pieces: list[list[tuple[Tensor, Tensor, Tensor, Tensor]]] = []
    samples = zip(ids, mask.bool(), labels, strict=True)
    for count in rows:
        row, behind = [], []
        for tokens, seen, learnt in itertools.islice(samples, count):
            own = learnt[seen].clone()
            own[:1] = IGNORED
            row.append((tokens[seen], torch.ones_like(own), own, torch.arange(len(own), device=own.device)))
            blank = tokens[~seen & tokens.eq(hidden)]
            behind.append((blank, torch.zeros_like(blank), torch.full_like(blank, IGNORED), torch.zeros_like(blank)))
        pieces.append(row + behind)
    length = max(sum(len(piece[0]) for piece in row) for row in pieces)
    length += -length % multiple
    fills = {"input_ids": padding, "attention_mask": 0, "labels": IGNORED, "position_ids": 0}
    return {
        name: torch.stack([_filled(torch.cat([piece[at] for piece in row]), length, fill) for row in pieces])
        for at, (name, fill) in enumerate(fills.items())
    }


def _filled(row: Tensor, length: int, fill: int) -> Tensor:
    return torch.nn.functional.pad(row, (0, length - len(row)), value=fill)


def sample_numbers(position_ids: Tensor | None, attention_mask: Tensor | None) -> Tensor | None:
    """Return the numbers of the samples; None where no row holds several."""
    if position_ids is None or position_ids.ndim != 2:
        return None
    seen = torch.ones_like(position_ids) if attention_mask is None else attention_mask
    if seen.shape != position_ids.shape:
        return None
    numbers = (position_ids.eq(0) & seen.bool()).cumsum(1) * seen.bool()
    return numbers if int(numbers.max()) > 1 else None


def least(values: Tensor, numbers: Tensor) -> Tensor:
    """Return for every token the least of ``values`` [B, T] int64 in its sample, at most T; 0 for what nobody sees."""
    count = int(numbers.max()) + 1
    found = values.new_full((len(values), count), values.shape[1])
    found = found.scatter_reduce(1, numbers, values, "amin")  # [B, samples]
    found[:, 0] = 0
    return found.gather(1, numbers)


def visible(numbers: Tensor) -> Tensor:
    """Return which keys a query may see, [B, T, T] bool: its sample's; what nobody sees may see all of them."""
    queries, keys = numbers[:, :, None], numbers[:, None, :]
    return keys.ne(0) & (queries.eq(keys) | queries.eq(0))


def additive(seen: Tensor, embeds: Tensor) -> Tensor:
    """Return [B, T, T] bool as the mask [B, 1, T, T] that is added to attention scores, in the type of ``embeds``."""
    blocked = torch.finfo(embeds.dtype).min
    return torch.zeros(seen.shape, dtype=embeds.dtype, device=embeds.device).masked_fill(~seen, blocked)[:, None]


def block_diagonal(numbers: Tensor, embeds: Tensor) -> Tensor:
    """Return the additive mask [B, 1, T, T] under which a token sees its own sample up to itself."""
    length = numbers.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=numbers.device).tril()
    return additive(causal & visible(numbers), embeds)


def one_row(
    embeds: Tensor, numbers: Tensor, positions: Tensor, labels: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return embeddings, positions and labels of all samples in one row without padding, for attention by lengths.

    [B, T, H], [B, T], [B, T] to [1, tokens, H], [1, tokens], [1, tokens].
    """
    kept = numbers.ne(0)
    return embeds[kept][None], positions[kept][None], None if labels is None else labels[kept][None]


def each_sample(ids: Sequence[Any], numbers: Sequence[int]) -> Iterator[tuple[Sequence[Any], Sequence[int]]]:
    """Yield the tokens of each sample of a row with their numbers; a row of one sample as it is."""
    if max(numbers, default=0) < 2:
        yield ids, numbers
        return
    for _, pairs in itertools.groupby(zip(ids, numbers, strict=True), key=lambda pair: pair[1]):
        tokens, same = zip(*pairs, strict=True)
        yield tokens, same


def samples_of(ids: Tensor, numbers: Tensor | None) -> list[tuple[Sequence[int], Sequence[int]]]:
    """Return the tokens of each sample of a batch with their numbers.

    Args:
        ids: [B, T].
        numbers: [B, T], the attention mask where each row is one sample; all ones when None.
    """
    seen = torch.ones_like(ids) if numbers is None else numbers
    rows = zip(ids.tolist(), seen.tolist(), strict=True)
    return [sample for row in rows for sample in each_sample(*row)]


def check_packed(text_config: Any, numbers: Tensor) -> None:
    """Refuse a language model in which a sample would see others through something else than the mask.

    Args:
        text_config: of the language model.
        numbers: of the samples.

    Raises:
        PathPluginsError: layers without such a mask, or a sample that is longer than the window of attention.
    """
    kernel, layers = text_config._attn_implementation, getattr(text_config, "layer_types", None) or []
    if other := sorted({*layers} - {*_ATTENTION}):
        raise PathPluginsError(
            f"packed rows: {', '.join(other)} layers of {text_config.model_type} carry one sample into the next; set "
            "neat_packing: false"
        )
    if kernel not in ("sdpa", "eager") and not kernel.startswith("flash_attention"):
        raise PathPluginsError(
            f"packed rows: attention {kernel} takes no mask by samples; set attn_implementation (flash_attn) to sdpa"
        )
    uses = getattr(text_config, "use_sliding_window", True)
    window = getattr(text_config, "sliding_window", None) if uses else None
    if window is None or kernel.startswith("flash_attention"):
        return
    longest = max(int(torch.bincount(row, minlength=2)[1:].max()) for row in numbers)
    if longest > window:
        raise PathPluginsError(
            f"packed rows: a sample of {longest} tokens does not fit the LLM's window of {window}; lower cutoff_len"
        )
