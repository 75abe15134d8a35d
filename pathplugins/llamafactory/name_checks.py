"""Check the names in a configuration of ours: template, datasets and paths, before anything is loaded."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import is_file, read_json
from pathplugins.core.registry import unknown
from pathplugins.data.formats import FORMATS, PREFERENCE_FORMATS
from pathplugins.llamafactory.bag_folder import BAG_FOLDER, check_bag_folder
from pathplugins.llamafactory.dataset_entries import check_entry, entry_of
from pathplugins.llamafactory.model_directory import VIRTUAL_MODEL, local_model
from pathplugins.llamafactory.stage_table import PREFERENCES
from pathplugins.llamafactory.templates import exact_templates
from pathplugins.models.compose.local_copy import FILES
from pathplugins.models.towers import TOWERS, reads_images

INFO = "dataset_info.json"
ADAPTER_FILES = ["adapter_*", "*.json"]
"""File patterns that are downloaded for a LoRA adapter."""


def check_template(config: Mapping[str, Any], settings: Mapping[str, Any] | None) -> None:
    """Raise when the template is unknown, or one that leaves out what the model is to look at.

    Args:
        config: key -> value of a configuration for a model of ours.
        settings: ``config.json`` of the model, None when it is still to be composed.
    """
    from llamafactory.data.template import TEMPLATES

    from pathplugins.llamafactory.mm_plugin import PathologyPlugin

    name = config.get("template")
    ours = [known for known, template in TEMPLATES.items() if isinstance(template.mm_plugin, PathologyPlugin)]
    if name in ours or (name is None and not names_of(config.get("dataset"))):
        return
    tower = settings["vision_config"]["model_type"] if settings else config.get("vision_model_name")
    kind = "patch_vqa" if tower in TOWERS and reads_images(tower) else "custom_vqa"
    if name is None:
        raise PathPluginsError(f"template is not set; choose the one of the language model: {_listed(ours, kind)}")
    if name not in TEMPLATES:
        near = next(iter(difflib.get_close_matches(str(name), [*ours, *TEMPLATES], n=1)), None)
        near = f"{kind}_{near}" if f"{kind}_{near}" in ours else near
        hint = f" Did you mean {near!r}?" if near in ours else ""
        raise PathPluginsError(f"template: unknown template {name!r}.{hint} For this model: {_listed(ours, kind)}")
    twin = f"{kind}_{name}"
    use = f"set template: {twin}" if twin in ours else f"choose one of {_listed(ours, kind)}"
    raise PathPluginsError(
        f"template: {name} has no place for {'images' if kind == 'patch_vqa' else 'slides'}, which this model reads; "
        f"{use}"
    )


def check_datasets(config: Mapping[str, Any]) -> None:
    """Raise when a dataset is not in ``dataset_info.json``, or its entry there says what cannot be obeyed."""
    from llamafactory.data.converter import DATASET_CONVERTERS

    folder = config.get("dataset_dir", "data")
    names = names_of(config.get("dataset")) + names_of(config.get("eval_dataset"))
    if not names or not isinstance(folder, str) or folder == "ONLINE" or folder.startswith("REMOTE:"):
        return
    place = Path(folder) / INFO
    if not place.is_file():
        raise PathPluginsError(
            f"dataset_dir: {place} does not exist; correct dataset_dir, or bring the file there with "
            f"`pathplugins configs copy {INFO}`"
        )
    known = read_json(place)
    for name in names:
        if name not in known:
            raise PathPluginsError(f"dataset: {unknown('dataset', name, known)}; {place} lists them")
        entry = entry_of(known, name, place)
        formatting = entry.get("formatting") or "alpaca"
        if formatting not in DATASET_CONVERTERS:
            raise PathPluginsError(
                f"dataset {name}: {unknown('formatting', formatting, DATASET_CONVERTERS)}; correct it in {place}"
            )
        if formatting in FORMATS and config.get("stage") in PREFERENCES:
            raise PathPluginsError(
                f'dataset {name}: "formatting": "{formatting}" holds answers and nothing that compares or marks them, '
                f'which stage: {config["stage"]} trains on; write them as "formatting": "preferences" in {place}'
            )
        if formatting in PREFERENCE_FORMATS:
            _check_stage_of(name, entry, config.get("stage"), place)
        if formatting in FORMATS or formatting in PREFERENCE_FORMATS:
            check_entry(name, entry, place)
        elif formatting == BAG_FOLDER:
            check_bag_folder(name, entry, place)
        else:
            _check_columns(name, entry, formatting, place)


def check_paths(config: Mapping[str, Any]) -> None:
    """Raise when the path or hub id of a finished model or of an adapter leads nowhere.

    What is on a hub is fetched; what a model is composed of is looked up when it is composed.
    """
    wanted = {"model_name_or_path": FILES, "adapter_name_or_path": ADAPTER_FILES}
    for key, files in wanted.items():
        for name in names_of(config.get(key)):
            if name == VIRTUAL_MODEL and key == "model_name_or_path":
                continue
            folder = Path(local_model(name, key, files, config))
            if key == "adapter_name_or_path" and not (folder / "adapter_config.json").is_file():
                raise PathPluginsError(
                    f"{key}: {name} holds no adapter_config.json; give the output_dir of a LoRA run, or name a whole "
                    "model in model_name_or_path"
                )


def names_of(value: Any) -> list[str]:
    """Return the names in a value that is a list, or text with commas between them."""
    if value is None:
        return []
    parts = value.split(",") if isinstance(value, str) else value
    return [str(part).strip() for part in parts]


def _check_stage_of(name: str, entry: Mapping[str, Any], stage: Any, place: Path) -> None:
    """Raise when answers that are compared or marked stand before a stage that is not about them."""
    compared = bool(entry.get("ranking"))
    kind, fit = ("compared", "rm or stage: dpo") if compared else ("marked", "kto")
    if stage is None or stage in (("rm", "dpo") if compared else ("kto",)):
        return
    if stage in PREFERENCES:
        other = 'remove "ranking"' if compared else 'set "ranking": true'
        use = f"set stage: {fit}, or, where the file fits, {other} in {place}"
    else:
        use = f"set stage: {fit}; stage: {stage} would learn good and bad answers alike"
    raise PathPluginsError(f'dataset {name}: "formatting": "{entry["formatting"]}" has answers that are {kind}; {use}')


def _listed(templates: list[str], kind: str) -> str:
    return ", ".join(name for name in templates if name.startswith((kind, *exact_templates())))


def _check_columns(name: str, entry: Mapping[str, Any], formatting: str, place: Path) -> None:
    """Raise when a local file lacks the column that one of the trainer's own formats reads."""
    columns = entry.get("columns") or {}
    key, default = ("prompt", "instruction") if formatting == "alpaca" else ("messages", "conversations")
    wanted = columns.get(key, default)
    file = place.parent / str(entry.get("file_name", ""))
    found = _first_columns(file) if is_file(file) else None
    if found is not None and wanted in found:
        _check_images(name, found, columns, formatting, file, place)
    if found is None or wanted in found:
        return
    better = "wsi_csv" if {"h5_path", "filepath"} & {*found} else "llava" if "conversations" in found else None
    use = f'set "formatting": "{better}"' if better else f'set "formatting" to one of {", ".join(FORMATS)}'
    default_said = "" if "formatting" in entry else ", which is the default,"
    raise PathPluginsError(
        f'dataset {name}: {file} has {", ".join(found)}; "formatting": "{formatting}"{default_said} reads {wanted!r}; '
        f"{use} or name its columns in {place}"
    )


def _check_images(
    name: str, sample: Mapping[str, Any], columns: Mapping[str, str], formatting: str, file: Path, place: Path
) -> None:
    """Raise when the first sample has images under a key that the entry does not name: they would be left out."""
    key = next((key for key in ("images", "image") if sample.get(key)), None)
    if key is None or columns.get("images"):
        return
    turns = {"prompt": "instruction", "query": "input", "response": "output"}
    usual = turns if formatting == "alpaca" else {"messages": "conversations"}
    use = json.dumps({**usual, **columns, "images": key})
    raise PathPluginsError(
        f"dataset {name}: {file} has images under {key!r}, which its entry does not name, so they would be left out; "
        f'set "columns": {use} in {place}'
    )


def _first_columns(file: Path) -> Mapping[str, Any] | None:
    """Return the columns of a table or the first sample; None for files that cannot be told at a glance."""
    if file.suffix in (".csv", ".tsv"):
        with file.open(encoding="utf-8-sig", newline="") as stream:
            header = stream.readline()
        return dict.fromkeys(next(csv.reader([header], delimiter="\t" if "\t" in header else ","), []))
    if file.suffix not in (".json", ".jsonl"):
        return None
    with file.open(encoding="utf-8") as stream:
        begin = stream.read(1 << 20).lstrip("\ufeff \t\r\n")
    try:
        first, _ = json.JSONDecoder().raw_decode(begin.removeprefix("[").lstrip())
    except (ValueError, RecursionError):
        return None  # longer than what was read, or broken, which the trainer says
    return first if isinstance(first, dict) else None
