"""Images of preferences and marked answers, whose files LLaMA-Factory reads itself: looked at before training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.data.records import Record, apply_policy
from pathplugins.llamafactory.datasets import check_run_images, is_ours


def with_preference_images_checked(
    found: dict[str, Any], by_name: Mapping[str, Any], model_args: Any, data_args: Any, training_args: Any
) -> dict[str, Any]:
    """Return LLaMA-Factory's datasets without the samples whose images the model cannot use, or report all of these.

    Args:
        found: ``train_dataset`` and ``eval_dataset`` (a dataset, a dict of them, None).
        by_name: name -> those of them whose length is known, with a column ``images``.
        model_args: of the run.
        data_args: of the run.
        training_args: of the run.

    Raises:
        BadSamplesError: there are such samples and ``on_bad_sample`` is ``error``, or no other ones.
    """
    if _read_by_us(data_args):
        return found
    records = [
        Record(id=f"{name} {row}", conversations=(), images=_paths(images), meta={}, source=name, row=row)
        for name, dataset in by_name.items()
        for row, images in enumerate(dataset["images"])
    ]
    source = Path(data_args.dataset_dir) / ",".join([*(data_args.dataset or ()), *(data_args.eval_dataset or ())])
    with training_args.main_process_first(desc="check images", local=not data_args.data_shared_file_system):
        bad = check_run_images(records, source, model_args, data_args, training_args)
    if model_args.on_bad_sample == "error" or training_args.should_log:
        report = Path(training_args.output_dir) / "bad_samples.jsonl" if training_args.should_save else None
        apply_policy(records, bad, on_bad_sample=model_args.on_bad_sample, report_path=report)
    for name in dict.fromkeys(sample.source for sample in bad):
        left = np.setdiff1d(np.arange(len(by_name[name])), [sample.row for sample in bad if sample.source == name])
        found = _replaced(found, name, by_name[name].select(left))
    return found


def _read_by_us(data_args: Any) -> bool:
    """Whether our reader reads every data set of the run, and has looked at the images."""
    from llamafactory.data.parser import get_dataset_list

    names = [*(data_args.dataset or ()), *(data_args.eval_dataset or ())]
    return all(is_ours(attr, data_args) for attr in get_dataset_list(names, data_args.dataset_dir))


def _paths(images: Any) -> tuple[str, ...]:
    return tuple(image for image in images or () if isinstance(image, str))


def _replaced(found: dict[str, Any], name: str, dataset: Any) -> dict[str, Any]:
    parts = found.get("eval_dataset")
    if isinstance(parts, dict) and name in parts:
        return {**found, "eval_dataset": {**parts, name: dataset}}
    return {**found, f"{name}_dataset": dataset}
