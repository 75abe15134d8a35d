"""``pathplugins preprocess``: check and tokenize the samples of an XTuner config once, before any GPU is taken."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import refuse_nonempty
from pathplugins.models.compose.cache import DONE, new_directory
from pathplugins.xtuner.configs import read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``pathplugins preprocess``."""
    parser.add_argument("config", type=Path, metavar="CONFIG.py", help="whose training samples to tokenize")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="new folder")
    parser.add_argument("--workers", type=int, default=8, metavar="N", help="threads that check images; %(default)s")


def run(args: argparse.Namespace) -> int:
    """Write the folder, and say what is in it and what to put into the config.

    What was tokenized and checked is in the cache: a run that was interrupted continues from there.
    """
    refuse_nonempty(args.out)
    dataset = _dataset(args.config, args.workers)
    with new_directory(args.out) as beside:
        shutil.copytree(dataset.folder, beside, dirs_exist_ok=True, ignore=shutil.ignore_patterns(DONE))
    tokens = [abs(length) for length in dataset.modality_length]
    mean = sum(tokens) / len(tokens)
    _say(f"{len(tokens)} samples, {mean:.1f} tokens on average and {max(tokens)} at most, vision tokens included")
    _say(f"{dataset.left_out} rows cannot be used" + (" and are left out" if dataset.left_out else ""))
    _say(f"wrote {args.out}; in the dataset of {args.config} write, in place of data_path:")
    _say(f'  offline_processed_text_folder="{args.out.absolute()}"')
    return 0


def _dataset(path: Path, workers: int) -> Any:
    """Make the training samples of a config as ``xtuner train`` would."""
    config = read_config(path).get("train_dataloader", {}).get("dataset", {})
    from mmengine.utils.misc import get_object_from_string

    from pathplugins.xtuner.datasets import PathologyDataset

    kind = config.get("type")
    kind = get_object_from_string(kind) if isinstance(kind, str) else kind
    if kind is not PathologyDataset:
        raise PathPluginsError(
            f"{path}: train_dataloader.dataset is {kind}, expected PathologyDataset; XTuner's own datasets are "
            "tokenized by its process_untokenized_llava_data.py"
        )
    options = {name: config[name] for name in config if name != "type"}
    if options.get("offline_processed_text_folder"):
        raise PathPluginsError(
            f"{path} trains on {options['offline_processed_text_folder']}, which is tokenized already; give data_path "
            "in its place to tokenize anew"
        )
    return PathologyDataset(**{**options, "check_workers": workers})


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
