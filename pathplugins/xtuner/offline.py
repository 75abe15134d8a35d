"""Check that a folder of tokenized samples was made for the model that is to be trained on it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from xtuner.dataset.utils import encode_fn
from xtuner.utils import DEFAULT_IMAGE_TOKEN

from pathplugins.core.errors import PathPluginsError
from pathplugins.xtuner.texts import tokenizer_fingerprint, tokenizer_name

_LOOKED_AT = 16
"""Rows of a folder that does not say how it was made."""

logger = logging.getLogger(__name__)


def check_origin(
    folder: Path,
    texts: datasets.Dataset,
    description: Mapping[str, Any] | None,
    tokenizer: Any,
    *,
    template: Mapping[str, Any] | None = None,
    system: str = "",
) -> None:
    """Raise if a folder was made with another tokenizer, or in other words than the config asks for.

    Ours says what it was made with. Some rows of the others, which XTuner wrote, are tokenized again.

    Args:
        folder: what messages call it.
        texts: its rows.
        description: ``pathplugins.json`` of ours, None of others.
        tokenizer: of the model.
        template: prompt template, if the config names one.
        system: system prompt, if the config gives one.
    """
    if description is None:
        _check_rows(folder, texts, tokenizer)
        return
    if description["tokenizer"] != tokenizer_fingerprint(tokenizer):
        raise PathPluginsError(
            f"{folder} was made with another tokenizer, {description['tokenizer_name']}, than the model's, "
            f"{tokenizer_name(tokenizer)}; run `pathplugins preprocess` with this model"
        )
    made = description["source"]
    for name, wanted in (("template", template), ("system", system)):
        if wanted and wanted != made[name]:
            raise PathPluginsError(
                f"{folder} was made with the {name} {made[name]!r} but the config says {wanted!r}; run `pathplugins "
                "preprocess` with this config, or leave it out of the config to train on the folder as it is"
            )
    if description["bad"]:
        logger.info("%s was made without %d rows that could not be used", folder, len(description["bad"]))


def _check_rows(folder: Path, texts: datasets.Dataset, tokenizer: Any) -> None:
    if "conversation" not in texts.column_names or not len(texts):
        logger.warning("%s has no column `conversation`: which tokenizer it was made with cannot be told", folder)
        return
    looked_at = 0
    for row in np.unique(np.linspace(0, len(texts) - 1, _LOOKED_AT).astype(int)).tolist():
        sample = texts[row]
        if any(turn["input"].count(DEFAULT_IMAGE_TOKEN) > 1 for turn in sample["conversation"]):
            continue  # XTuner itself cannot tokenize these
        stored = sample["input_ids"]
        again = encode_fn(sample, tokenizer, max_length=len(stored), with_image_token=True)["input_ids"]
        if again != stored:
            place = next((i for i, (a, b) in enumerate(zip(again, stored, strict=False)) if a != b), len(again))
            raise PathPluginsError(
                f"{folder} was made with another tokenizer than the model's, {tokenizer_name(tokenizer)}: in row {row} "
                f"token {place} is {stored[place]}, which reads {again[place : place + 1]} there; run `pathplugins "
                "preprocess` with this model, or tokenize the samples with its tokenizer"
            )
        looked_at += 1
    logger.info("%d rows of %s, tokenized again, are what the model's tokenizer makes of them", looked_at, folder)
