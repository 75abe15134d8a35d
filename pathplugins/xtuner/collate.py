"""Batches for XTuner: texts padded to the right, images read and packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from xtuner.utils import DEFAULT_PAD_TOKEN_INDEX, IGNORE_INDEX

from pathplugins.xtuner.options import options_of
from pathplugins.xtuner.parts import Model, load_processor


@options_of("collate_fn")
def collate(instances: Sequence[Mapping[str, Any]], model: Model) -> dict[str, Any]:
    """Make a batch of samples of `PathologyDataset`, for ``collate_fn=dict(type=collate, model=...)``.

    Runs in the data workers, so that is where images and slides are read. B samples, L tokens of the longest.

    Args:
        instances: B samples.
        model: what the config names; its processor reads the images.

    Returns:
        ``data``: ``input_ids``, ``labels``, ``position_ids`` int64 [B, L], ``attention_mask`` bool [B, L], and the
        packed inputs of the vision tower. A batch without images gets a blank one, behind the mask: a rank that skips
        its vision tower leaves the others waiting. ``data_samples``: None.
    """
    processor = load_processor(model)
    images = [instance["images"] for instance in instances]
    rows = [list(instance["input_ids"]) for instance in instances]
    sizes = [len(row) for row in rows]
    if any(images):
        vision = processor.read_images(images, keys=_keys(instances), epoch=instances[0]["epoch"])
    else:
        vision = processor.image_processor.null_inputs()
        rows[0] += [processor.image_token_id] * processor.image_processor.null_tokens

    shape = len(rows), max(map(len, rows))  # B, L
    input_ids = torch.full(shape, DEFAULT_PAD_TOKEN_INDEX)  # [B, L]
    labels = torch.full(shape, IGNORE_INDEX)  # [B, L]
    attention_mask = torch.zeros(shape, dtype=torch.bool)  # [B, L]
    for number, (row, size) in enumerate(zip(rows, sizes, strict=True)):
        input_ids[number, : len(row)] = torch.tensor(row)
        labels[number, :size] = torch.tensor(instances[number]["labels"])
        attention_mask[number, :size] = True
    position_ids = torch.arange(shape[1]).expand(shape).contiguous()  # [B, L]
    data = {"input_ids": input_ids, "attention_mask": attention_mask, "position_ids": position_ids, "labels": labels}
    return {"data": {**data, **vision}, "data_samples": None}


def _keys(instances: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Return what identifies each image in its sample, as in LLaMA-Factory: both trainers draw the same patches."""
    return [
        Path(image).name.encode() + b"\0" + np.asarray(instance["input_ids"]).tobytes()
        for instance in instances
        for image in instance["images"]
    ]
