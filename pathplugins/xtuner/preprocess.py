"""``pathplugins preprocess``: check and tokenize the samples of an XTuner config once, before any GPU is taken."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import refuse_nonempty
from pathplugins.models.compose.cache import DONE, new_directory
from pathplugins.xtuner.configs import dataset_configs, read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``pathplugins preprocess``."""
    parser.add_argument("config", type=Path, metavar="CONFIG.py", help="whose training samples to tokenize")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="new folder")
    parser.add_argument("--workers", type=int, default=8, metavar="N", help="threads that check images; %(default)s")


def run(args: argparse.Namespace) -> int:
    """Write the folder, one in it for each of several data sets; say what is in it and what to put into the config.

    What was tokenized and checked is in the cache: a run that was interrupted continues from there.
    """
    refuse_nonempty(args.out)
    datasets = _datasets(args.config, args.workers)
    outs = [args.out / str(n) for n in range(len(datasets))] if len(datasets) > 1 else [args.out]
    with new_directory(args.out) as beside:
        for dataset, out in zip(datasets, outs, strict=True):
            place = beside / out.relative_to(args.out)
            shutil.copytree(dataset.folder, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns(DONE))
    for number, (dataset, out) in enumerate(zip(datasets, outs, strict=True)):
        tokens = [abs(length) for length in dataset.modality_length]
        mean = sum(tokens) / len(tokens)
        _say(
            f"{counted(len(tokens), 'sample')}, {mean:.1f} tokens on average and {max(tokens)} at most, "
            "vision tokens included"
        )
        _say(f"{dataset.left_out} rows cannot be used" + (" and are left out" if dataset.left_out else ""))
        which = "the dataset" if len(outs) == 1 else f"datasets[{number}]"
        _say(f"wrote {out}; in {which} of {args.config} write, in place of data_path:")
        _say(f'  offline_processed_text_folder="{out.absolute()}"')
    return 0


def _datasets(path: Path, workers: int) -> list[Any]:
    """Make the training samples of a config as ``xtuner train`` would; one report about all rows that are bad."""
    configs = dataset_configs(read_config(path))
    from mmengine.utils.misc import get_object_from_string

    from pathplugins.xtuner.datasets import PathologyDataset

    for config in configs:
        kind = config.get("type")
        kind = get_object_from_string(kind) if isinstance(kind, str) else kind
        if kind is not PathologyDataset:
            raise PathPluginsError(
                f"{path}: train_dataloader.dataset is {kind}, expected PathologyDataset, or several of them in "
                "PathologyDatasets; XTuner's own datasets are tokenized by its process_untokenized_llava_data.py"
            )
        if folder := config.get("offline_processed_text_folder"):
            raise PathPluginsError(
                f"{path} trains on {folder}, which is tokenized already; give data_path in its place to tokenize anew"
            )
    from pathplugins.xtuner.concat import PathologyDatasets

    return PathologyDatasets([{**config, "check_workers": workers} for config in configs]).datasets


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
