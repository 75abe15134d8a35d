"""Images of preferences and marked answers, whose files LLaMA-Factory reads itself: looked at before training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathplugins.data.records import Record, apply_policy
from pathplugins.llamafactory.stage_table import to_skip


def check_preference_images(
    datasets: Mapping[str, Any], model_args: Any, data_args: Any, training_args: Any, stage: str
) -> None:
    """Raise `BadSamplesError` when images of tokenized samples cannot be used by the model.

    Args:
        datasets: name -> tokenized samples with a column ``images``.
        model_args: of the run.
        data_args: of the run.
        training_args: of the run.
        stage: of the run.
    """
    from pathplugins.llamafactory.datasets import check_run_images

    records = [
        Record(id=f"{name} {row}", conversations=(), images=_paths(images), meta={}, source=name, row=row)
        for name, dataset in datasets.items()
        for row, images in enumerate(dataset["images"])
    ]
    source = Path(data_args.dataset_dir) / ",".join([*(data_args.dataset or ()), *(data_args.eval_dataset or ())])
    with training_args.main_process_first(desc="check images", local=not data_args.data_shared_file_system):
        bad = check_run_images(records, source, model_args, data_args, training_args)
    report = Path(training_args.output_dir) / "bad_samples.jsonl" if training_args.should_save else None
    apply_policy(records, bad, on_bad_sample="error", report_path=report, to_skip=to_skip(stage))


def _paths(images: Any) -> tuple[str, ...]:
    return tuple(image for image in images or () if isinstance(image, str))
