"""``neat_packing``: whole samples put into rows of ``cutoff_len`` tokens, none of which sees another.

LLaMA-Factory's own packing pads every row to the end, within a thousand samples in the order of the file, and looks
at images row by row. Here samples are tokenized, checked and read one by one as without packing, and put together
last: the loss and what a selector draws are those of the samples.
"""

from __future__ import annotations

import bisect
import copy
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc
from torch.utils.data import Dataset

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.packed_rows import joined

logger = logging.getLogger(__name__)

_OPEN = 64  # rows that are filled at a time: enough to leave under a hundredth empty, few enough to mix samples


class PackedRows(Dataset):
    """Rows of a tokenized dataset put together, in an order of their own.

    Args:
        dataset: with the columns ``input_ids``, ``labels`` and ``images``.
        rows: indices of the samples of each row.
    """

    def __init__(self, dataset: Any, rows: Sequence[np.ndarray]) -> None:
        self.dataset, self.rows = dataset, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return the tokens of all samples of a row, and the samples."""
        samples = [self.dataset[int(sample)] for sample in self.rows[index]]
        return {"input_ids": [token for sample in samples for token in sample["input_ids"]], "samples": samples}


class PackedCollator:
    """Makes a batch of rows out of the batch that LLaMA-Factory's collator makes of their samples."""

    def __init__(self, collator: Any) -> None:
        self.collator = collator

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Return tokens, labels and positions [rows, T], and the images of all samples in order."""
        batch = self.collator([sample for row in rows for sample in row["samples"]])
        options = {"padding": self.collator.tokenizer.pad_token_id, "hidden": self.collator.processor.image_token_id}
        multiple = self.collator.pad_to_multiple_of or 1
        return {**batch, **joined(batch, [len(row["samples"]) for row in rows], **options, multiple=multiple)}


def without_packing(model_args: Any, data_args: Any) -> Any:
    """Return ``data_args`` under which LLaMA-Factory itself packs nothing, with the ``cutoff_len`` that was given."""
    plain = copy.copy(data_args)
    plain.packing = plain.neat_packing = model_args.block_diag_attn = False
    plain.cutoff_len += 1  # packing of its own keeps one token back
    return plain


def refuse_packing(model_args: Any, data_args: Any, losses: Sequence[str]) -> None:
    """Raise `PathPluginsError` where samples cannot be packed.

    Args:
        model_args: of the run.
        data_args: of the run.
        losses: options that compute the loss outside the model.
    """
    if not data_args.packing:
        return
    if not data_args.neat_packing:
        raise PathPluginsError(
            "packing: true puts samples into a row where each sees those before it; set neat_packing: true, which "
            "keeps them apart, or packing: false"
        )
    if data_args.streaming:
        raise PathPluginsError("neat_packing needs to know every length before training; set streaming: false")
    if model_args.group_by_modality_length:
        raise PathPluginsError(
            "group_by_modality_length sorts samples by length and neat_packing fills rows of one length; drop one"
        )
    if losses and str(model_args.flash_attn).startswith("fa"):
        raise PathPluginsError(
            f"neat_packing with flash_attn: {model_args.flash_attn} computes the loss inside the model, which "
            f"{', '.join(losses)} does not; set flash_attn: sdpa"
        )


def pack(dataset: Any, tokens: int, *, seed: int | None, say: bool) -> PackedRows:
    """Put the samples of a tokenized dataset into rows of at most ``tokens`` tokens.

    Args:
        dataset: with a column ``input_ids``, no sample longer than a row.
        tokens: of a row at most.
        seed: draws the order that samples are taken in; None keeps theirs.
        say: warn that a batch counts rows, and how full they are.
    """
    counted = [np.zeros(0, np.int64)]
    for table in dataset.select_columns(["input_ids"]).with_format("arrow").iter(batch_size=4096):
        counted.append(np.asarray(pc.list_value_length(table["input_ids"].combine_chunks())))
    lengths = np.concatenate(counted)
    order = np.arange(len(lengths)) if seed is None else np.random.default_rng(seed).permutation(len(lengths))
    rows = [np.array(row, np.int64) for row in fill(lengths.tolist(), order.tolist(), tokens)]
    if say:
        share = 100 * lengths.sum() / (len(rows) * tokens)
        logger.warning(
            "neat_packing: %d samples in %d rows of %d tokens, %.1f a row, %.0f %% full; "
            "per_device_train_batch_size counts rows",
            *(len(lengths), len(rows), tokens, len(lengths) / len(rows), share),
        )
    return PackedRows(dataset, rows)


def fill(lengths: Sequence[int], order: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Yield rows of samples, each whole: a sample goes to the fullest of the open rows that has room for it.

    Args:
        lengths: of all samples.
        order: in which they are taken.
        tokens: of a row at most.
    """
    rooms: list[int] = []  # ascending, of the open rows
    rows: list[list[int]] = []
    for sample in order:
        at = bisect.bisect_left(rooms, lengths[sample])
        if at < len(rooms):
            room, row = rooms.pop(at), rows.pop(at)
        else:
            room, row = tokens, []
            if len(rows) == _OPEN:
                yield rows.pop(0)
                rooms.pop(0)
        row.append(sample)
        at = bisect.bisect_left(rooms, room - lengths[sample])
        rooms.insert(at, room - lengths[sample])
        rows.insert(at, row)
    yield from rows
