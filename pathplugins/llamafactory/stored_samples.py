"""Samples tokenized before, ``tokenized_path``: their images are looked at as those of samples that are read now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import Record, apply_policy
from pathplugins.llamafactory.datasets import check_run_images

_PARTS = {"train": "train_dataset", "validation": "eval_dataset"}


def stored_path(data_args: Any) -> Path | None:
    """Return the folder of samples that the run will load in place of its data sets; None where it makes it."""
    path = data_args.tokenized_path and Path(data_args.tokenized_path)
    return path if path and path.is_dir() and any(path.iterdir()) else None


def with_images_checked(
    found: dict[str, Any], path: Path, model_args: Any, data_args: Any, training_args: Any
) -> dict[str, Any]:
    """Return LLaMA-Factory's datasets without the samples whose images cannot be used, or report all of these.

    Args:
        found: ``train_dataset`` and ``eval_dataset`` (a dataset, a dict of them, None).
        path: the folder they were loaded from.
        model_args: of the run.
        data_args: of the run.
        training_args: of the run.

    Raises:
        BadSamplesError: there are such samples and ``on_bad_sample`` is ``error``, or no other ones.
        PathPluginsError: they are to be skipped in a stream.
    """
    from datasets import DatasetDict, load_from_disk

    stored = load_from_disk(str(path))
    parts = stored if isinstance(stored, DatasetDict) else {"train": stored}
    if packed := [name for name, part in parts.items() if "packing_params" in part.column_names]:
        raise PathPluginsError(
            f"tokenized_path: {path} ({', '.join(packed)}) was packed by LLaMA-Factory itself; delete it, or name "
            "another folder: neat_packing packs the samples of a folder that was made without it"
        )
    records = [
        Record(id=f"{name} {row}", conversations=(), images=_paths(images), meta={}, source=f"{path}/{name}", row=row)
        for name, part in parts.items()
        for row, images in enumerate(part["images"] if "images" in part.column_names else ())
    ]
    with training_args.main_process_first(desc="check images", local=not data_args.data_shared_file_system):
        bad = check_run_images(records, path, model_args, data_args, training_args)
    if model_args.on_bad_sample == "error" or training_args.should_log:
        report = Path(training_args.output_dir) / "bad_samples.jsonl" if training_args.should_save else None
        apply_policy(records, bad, on_bad_sample=model_args.on_bad_sample, report_path=report)
    for source in dict.fromkeys(sample.source for sample in bad):
        name = Path(source).name
        left = np.setdiff1d(np.arange(len(parts[name])), [sample.row for sample in bad if sample.source == source])
        found = _replaced(found, name, left)
    return found


def _paths(images: Any) -> tuple[str, ...]:
    return tuple(image for image in images or () if isinstance(image, str))


def _replaced(found: dict[str, Any], name: str, rows: np.ndarray) -> dict[str, Any]:
    """Return the datasets with one part cut to some of its rows."""
    key = _PARTS.get(name, "eval_dataset")
    whole = found[key][name.removeprefix("validation_")] if isinstance(found[key], dict) else found[key]
    if not hasattr(whole, "select"):
        raise PathPluginsError("samples of a stream cannot be skipped; set streaming: false, or correct them")
    part = whole.select(rows)
    return {**found, key: {**found[key], name.removeprefix("validation_"): part} if whole is not found[key] else part}
