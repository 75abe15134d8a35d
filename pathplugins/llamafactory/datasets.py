"""Reading our record formats into LLaMA-Factory, checked before training starts."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import check_bag
from pathplugins.data.formats import FORMATS
from pathplugins.data.records import Record, apply_policy, check_images
from pathplugins.models.checkpoints.compose import cache_dir
from pathplugins.models.custom_llava.processing_custom_llava import read_json

logger = logging.getLogger(__name__)


def read_our_formats(original: Callable[..., Any]) -> Callable[..., Any]:
    """LLaMA-Factory's ``_load_single_dataset`` with our formats read by our readers.

    The stock CSV loader turns "NA" into null and "1" into a number, knows no tabs and hides line numbers. Ours checks
    every row and every bag, then hands LLaMA-Factory a typed Parquet file of records to load its own way.
    """

    def _load_single_dataset(dataset_attr: Any, model_args: Any, data_args: Any, training_args: Any) -> Any:
        if dataset_attr.formatting in FORMATS:
            records = _records(dataset_attr, model_args, data_args, training_args)
            path = _to_parquet(records, dataset_attr.dataset_name)
            dataset_attr = dataclasses.replace(dataset_attr, dataset_name=str(path), split="train", subset=None)
        return original(dataset_attr, model_args, data_args, training_args)

    return _load_single_dataset


def _records(dataset_attr: Any, model_args: Any, data_args: Any, training_args: Any) -> list[Record]:
    # LLaMA-Factory imports its datasets before its arguments: at the top this import would be circular.
    from pathplugins.llamafactory.arguments import PathModelArguments, model_settings

    settings = model_settings(model_args.model_name_or_path)
    if settings is None or not isinstance(model_args, PathModelArguments):
        raise PathPluginsError(
            f'dataset {dataset_attr} has "formatting": "{dataset_attr.formatting}", feature bags for custom_llava models, but '
            f"model_name_or_path is {model_args.model_name_or_path}"
        )
    source = Path(data_args.dataset_dir) / dataset_attr.dataset_name
    media_dir = data_args.media_dir if data_args.media_dir != data_args.dataset_dir else None
    records, bad = FORMATS.get(dataset_attr.formatting)(
        source,
        mode=_mode(dataset_attr),
        split=dataset_attr.split,
        data_source=model_args.filter_by_data_source,
        media_dir=media_dir,
    )
    bags = read_json(Path(model_args.model_name_or_path) / "preprocessor_config.json")
    tower = settings["vision_config"]
    rules = {
        "width": tower["in_chans"],
        "grid_cells": tower["grid_size"],
        "tile_px": tower["tile_size"],
        "coords_mpp": bags["coords_mpp"],
        "features": model_args.check_features,
    }
    remembered = cache_dir() / "bag_checks" / f"{hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:16]}.json"
    bad += check_images(
        records,
        lambda path: check_bag(path, **rules),
        workers=data_args.preprocessing_num_workers or 4,
        progress=training_args.should_log,
        cache=remembered,
        cache_key=str(sorted(rules.items())),
    )
    report = Path(training_args.output_dir) / f"bad_samples_{Path(dataset_attr.dataset_name).stem}.jsonl"
    return apply_policy(records, bad, on_bad_sample=model_args.on_bad_sample, report_path=report)


def _mode(dataset_attr: Any) -> str:
    """``"subset"`` of dataset_info.json, a key LLaMA-Factory reads anyway: report (stage 2) or vqa (stage 3)."""
    mode = dataset_attr.subset or "vqa"
    if mode not in ("report", "vqa"):
        raise PathPluginsError(f'dataset {dataset_attr}: "subset" must be "report" or "vqa" in dataset_info.json, got {mode!r}')
    return mode


def _to_parquet(records: list[Record], name: str) -> Path:
    """Write the records once per content; every rank and every later run finds the same file and its tokenized cache."""
    import pyarrow
    from pyarrow import parquet

    turn = pyarrow.struct([("role", pyarrow.string()), ("text", pyarrow.string())])
    schema = pyarrow.schema(
        [
            ("id", pyarrow.string()),
            ("conversations", pyarrow.list_(turn)),
            ("images", pyarrow.list_(pyarrow.string())),
        ]
    )
    rows = [
        {"id": r.id, "conversations": [t._asdict() for t in r.conversations], "images": list(r.images)} for r in records
    ]
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
    path = cache_dir() / "records" / f"{Path(name).stem}-{digest}.parquet"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{hashlib.sha256(str(id(rows)).encode()).hexdigest()[:8]}.tmp")
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), beside)
        beside.replace(path)
    return path
