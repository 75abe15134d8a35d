"""Samples that are longer than the language model reads, named before training."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pathplugins.llamafactory.model_directory import model_settings
from pathplugins.models.custom_llava.positions import too_long

logger = logging.getLogger(__name__)


def warn_of_positions(datasets: Mapping[str, Any], model: str, parts: Sequence[str]) -> None:
    """Log how many samples are longer than the positions of the language model.

    Args:
        datasets: name -> tokenized samples, whose length is known.
        model: directory of the model.
        parts: what stands before ``input_ids`` for each text of a sample.
    """
    text_config = model_settings(model)["text_config"]
    for name, dataset in datasets.items():
        lengths = np.max([_lengths(dataset, f"{part}input_ids") for part in parts], axis=0)
        if said := too_long(lengths, text_config):
            logger.warning("%s: %s", name, said)


def _lengths(dataset: Any, column: str) -> np.ndarray:
    """Return the entries of each row of a list column, [rows] int64."""
    tables = dataset.select_columns([column]).with_format("arrow").iter(batch_size=1000)
    each = [table[column].combine_chunks().value_lengths().to_numpy(zero_copy_only=False) for table in tables]
    return np.concatenate(each) if each else np.zeros(0, np.int64)
