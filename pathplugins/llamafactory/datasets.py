"""Read our record formats into LLaMA-Factory, checked before training starts."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.data.formats import FORMATS, PREFERENCE_FORMATS, READERS
from pathplugins.data.llava_format import masked_by_llava
from pathplugins.data.records import BadSample, Record, apply_policy, check_images
from pathplugins.data.turn_formats import FORMATS as FORMATS_OF_TURNS
from pathplugins.data.turn_formats.turn_format import misread
from pathplugins.llamafactory.bag_folder import BAG_FOLDER, read_bag_folder
from pathplugins.llamafactory.converters import columns, schema
from pathplugins.llamafactory.dataset_entries import renamed
from pathplugins.llamafactory.templates import LLAVA, exact_templates
from pathplugins.models.compose.cache import cache_dir


def read_our_formats(loader: ModuleType) -> Callable[..., Any]:
    """Return LLaMA-Factory's ``_load_single_dataset`` with our formats read by our readers.

    The stock CSV loader turns "NA" into null and "1" into a number, knows no tabs and hides line numbers. Ours checks
    every row and every bag of all datasets of the run when the first is asked for, so that one report names them all,
    and hands LLaMA-Factory typed Parquet files of records to load its own way.
    """
    original = loader._load_single_dataset
    run: list[Any] = [None, []]  # data_args of the run, its (dataset_attr, file of records)

    def _load_single_dataset(dataset_attr: Any, model_args: Any, data_args: Any, training_args: Any) -> Any:
        if is_ours(dataset_attr, data_args):
            if run[0] is not data_args or not any(dataset_attr == attr for attr, _ in run[1]):
                names = dict.fromkeys([*(data_args.dataset or []), *(data_args.eval_dataset or [])])
                attrs = loader.get_dataset_list([*names], data_args.dataset_dir)
                attrs = [attr for attr in attrs if is_ours(attr, data_args)]
                attrs = attrs if dataset_attr in attrs else [*attrs, dataset_attr]
                run[:] = data_args, _checked(attrs, model_args, data_args, training_args)
            path = next(path for attr, path in run[1] if attr == dataset_attr)
            found = {"dataset_name": str(path), "split": "train", "subset": None, "formatting": "record"}
            dataset_attr = dataclasses.replace(dataset_attr, **found)
            dataset = original(dataset_attr, model_args, data_args, training_args)
            return _typed(dataset) if data_args.streaming else dataset
        return original(dataset_attr, model_args, data_args, training_args)

    return _load_single_dataset


def _typed(stream: Any) -> Any:
    """Return a stream that knows the types of its columns, which are otherwise taken from its first rows."""
    from datasets import Features

    return stream.cast(Features.from_arrow_schema(schema()))


def is_ours(dataset_attr: Any, data_args: Any) -> bool:
    """Whether our reader reads a data set: ours by its format, and LLaMA-Factory's own under an exact template.

    Those have no place for some samples, and learn nothing of them or what nobody wrote; our reader names them all.
    """
    name = dataset_attr.formatting
    ours = name in FORMATS or name in PREFERENCE_FORMATS or name == BAG_FOLDER
    if ours or data_args.template not in exact_templates():
        return ours
    plain = dataset_attr.load_from == "file" and dataset_attr.formatting == "sharegpt"
    plain = plain and not dataset_attr.ranking and not dataset_attr.kto_tag  # whose marks a record has no place for
    columns = dataset_attr.messages in ("conversations", "messages") and dataset_attr.images in ("image", "images")
    return plain and columns and (Path(data_args.dataset_dir) / dataset_attr.dataset_name).suffix in (".json", ".jsonl")


def _checked(attrs: list[Any], model_args: Any, data_args: Any, training_args: Any) -> list[tuple[Any, Path]]:
    """Write the good records of every dataset, in a file each; report what is wrong with the others at once."""
    found = _with_one_encoder([_records(attr, model_args, data_args, training_args) for attr in attrs], model_args)
    if model_args.on_bad_sample == "error" or training_args.should_log:
        report = Path(training_args.output_dir) / "bad_samples.jsonl" if training_args.should_save else None
        bad = dict.fromkeys(sample for _, samples in found for sample in samples)  # two datasets may share a table
        records = [record for good, _ in found for record in good]
        apply_policy(records, [*bad], on_bad_sample=model_args.on_bad_sample, report_path=report)
    files = []
    for attr, (records, samples) in zip(attrs, found, strict=True):
        places = {(sample.source, sample.row) for sample in samples}
        good = [record for record in records if (record.source, record.row) not in places]
        if not good:
            raise BadSamplesError(
                f"{attr} has no usable row left, all {len(places)} are bad; correct them or leave it out"
            )
        preference = attr.formatting in PREFERENCE_FORMATS
        files.append((attr, _to_parquet(good, attr.dataset_name, preference=preference)))
    return files


def _with_one_encoder(
    found: list[tuple[list[Record], list[BadSample]]], model_args: Any
) -> list[tuple[list[Record], list[BadSample]]]:
    """Add the rows whose bags are of another patch encoder than the tower expects or than the other bags."""
    from pathplugins.models.custom_llava.image_checks import other_encoders
    from pathplugins.models.custom_llava.processing_custom_llava import load_image_processor

    everything = [record for records, _ in found for record in records]
    known_bad = [sample for _, samples in found for sample in samples]
    image_processor = load_image_processor(Path(model_args.model_name_or_path))
    others = other_encoders(everything, image_processor, known_bad=known_bad)
    places = [{(record.source, record.row) for record in records} for records, _ in found]
    return [
        (records, [*samples, *(other for other in others if (other.source, other.row) in mine)])
        for (records, samples), mine in zip(found, places, strict=True)
    ]


def _records(
    dataset_attr: Any, model_args: Any, data_args: Any, training_args: Any
) -> tuple[list[Record], list[BadSample]]:
    # LLaMA-Factory imports its datasets before its arguments: at the top this import would be circular.
    from transformers import AutoTokenizer

    from pathplugins.llamafactory.arguments import PathModelArguments
    from pathplugins.llamafactory.model_directory import model_settings

    if dataset_attr.load_from != "file":
        raise PathPluginsError(
            f'dataset {dataset_attr}: "formatting": "{dataset_attr.formatting}" is read from files alone; download it '
            'and name "file_name" in dataset_info.json'
        )
    settings = model_settings(model_args.model_name_or_path)
    if settings is None or not isinstance(model_args, PathModelArguments):
        raise PathPluginsError(
            f'dataset {dataset_attr} has "formatting": "{dataset_attr.formatting}", images or feature bags for '
            f"custom_llava models, but model_name_or_path is {model_args.model_name_or_path}"
        )
    source = Path(data_args.dataset_dir) / dataset_attr.dataset_name
    if dataset_attr.formatting == BAG_FOLDER:
        records = read_bag_folder(source, training_args)
        return records, _check_files(records, source, model_args, data_args, training_args)
    media_dir = data_args.media_dir if data_args.media_dir != data_args.dataset_dir else None
    formats = PREFERENCE_FORMATS if dataset_attr.formatting in PREFERENCE_FORMATS else READERS
    reader = formats.get(dataset_attr.formatting)
    records, bad = reader(source, media_dir=media_dir, **_options(reader, dataset_attr, model_args))
    if version := LLAVA.get(data_args.template):
        end = AutoTokenizer.from_pretrained(model_args.model_name_or_path).eos_token
        bad += masked_by_llava(version, records, end, data_args.default_system or "")
    elif data_args.template in FORMATS_OF_TURNS:
        bad += misread(FORMATS_OF_TURNS.get(data_args.template), records)
    return records, bad + _check_files(records, source, model_args, data_args, training_args)


def check_run_images(
    records: list[Record], source: Path, model_args: Any, data_args: Any, training_args: Any
) -> list[BadSample]:
    """Return the records whose images the run's model cannot read, or that are of another encoder than the others.

    Args:
        records: whose images are looked at.
        source: the file or folder they come from, by which checks that passed are remembered.
        model_args: of the run.
        data_args: of the run.
        training_args: of the run.
    """
    bad = _check_files(records, source, model_args, data_args, training_args)
    [(_, found)] = _with_one_encoder([(records, bad)], model_args)
    return found


def _check_files(
    records: list[Record], source: Path, model_args: Any, data_args: Any, training_args: Any
) -> list[BadSample]:
    from pathplugins.llamafactory.model_directory import model_settings
    from pathplugins.models.custom_llava.image_checks import crowded, image_check
    from pathplugins.models.custom_llava.processing_custom_llava import load_image_processor

    directory = model_args.model_name_or_path
    vision, image_processor = model_settings(directory)["vision_config"], load_image_processor(Path(directory))
    check, rules = image_check(image_processor, vision, features=model_args.check_features)
    remembered = cache_dir() / "bag_checks" / f"{hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:16]}.json"
    return crowded(records, image_processor) + check_images(
        records,
        check,
        workers=data_args.preprocessing_num_workers or 4,
        progress=training_args.should_log,
        cache=remembered,
        cache_key=rules,
    )


def _options(reader: Callable[..., Any], dataset_attr: Any, model_args: Any) -> dict[str, Any]:
    """Return reader options from the entry in dataset_info.json, as LLaMA-Factory has read it."""
    takes = inspect.signature(reader).parameters
    options = {"split": dataset_attr.split, "data_source": model_args.filter_by_data_source, **renamed(dataset_attr)}
    options["ranking"] = dataset_attr.ranking
    subset = dataset_attr.subset
    if "mode" in takes:  # stage 2 asks for reports, stage 3 asks questions
        options["mode"] = subset or "vqa"
        if options["mode"] not in ("report", "vqa"):
            raise PathPluginsError(
                f'dataset {dataset_attr}: "subset" must be "report" or "vqa" in dataset_info.json, got {subset!r}'
            )
    elif subset and "subset" not in takes:
        raise PathPluginsError(
            f'dataset {dataset_attr}: {dataset_attr.formatting} has no subsets, got "subset": {subset!r}; remove it'
        )
    else:
        options["subset"] = subset
    return {name: value for name, value in options.items() if name in takes}


def _to_parquet(records: list[Record], name: str, *, preference: bool) -> Path:
    """Write the records, once per content: every rank and every later run finds the file and its tokenized cache."""
    import pyarrow
    from pyarrow import parquet

    rows = [columns(record, preference=preference) for record in records]
    # An image written anew may take another number of tokens: the tokenized rows must not be found again.
    stamps = [(s.st_size, s.st_mtime_ns) for r in records for s in (Path(image).stat() for image in r.images)]
    digest = hashlib.sha256(repr((rows, stamps)).encode()).hexdigest()[:16]
    path = cache_dir() / "records" / f"{Path(name).stem}-{digest}.parquet"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}.tmp")
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema()), beside)
        beside.replace(path)
    return path
