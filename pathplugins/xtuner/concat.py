"""Several data sets trained on as one, with one report about what cannot be used in any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils.data import ConcatDataset
from xtuner.registry import BUILDER

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.xtuner.options import options_of


class PathologyDatasets(ConcatDataset):
    """Data sets one behind the other, each with its own format, images and words.

    XTuner's ``ConcatDataset`` does as well; it stops at the first data set with rows that cannot be used.

    Args:
        datasets: what a config says of each, ``dict(type=PathologyDataset, ...)``.
    """

    @options_of("train_dataloader.dataset")
    def __init__(self, datasets: Sequence[Mapping[str, Any]]) -> None:
        if not datasets:
            raise PathPluginsError("train_dataloader.dataset: datasets is empty; name at least one")
        built, reports = [], []
        for config in datasets:
            try:
                built.append(BUILDER.build(config))
            except BadSamplesError as error:
                reports.append(str(error))
        if reports:
            raise BadSamplesError("\n".join(reports))
        super().__init__(built)
