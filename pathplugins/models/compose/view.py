"""Make a view of a model directory: other options, the same weights."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

import pathplugins
from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.compose.cache import cached
from pathplugins.models.compose.projector import PREFIX, SCALE, warn_of_changed_scale
from pathplugins.models.compose.selector_weights import SELECTOR_PREFIX, fresh_selector, marks_for, save_selector
from pathplugins.models.compose.spec import SELECTOR_FILE, check_options, digest, resolve_connector, stamp
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig
from pathplugins.models.custom_llava.joint_lora import FILE as JOINT_LORA_FILE
from pathplugins.models.custom_llava.joint_lora import NAME as JOINT_LORA
from pathplugins.models.custom_llava.joint_lora import fresh_joint_lora
from pathplugins.models.custom_llava.processing_custom_llava import load_image_processor
from pathplugins.models.custom_llava.tokenizer_files import is_tokenizer_file
from pathplugins.weights import open_weights, read_weights
from pathplugins.weights.compare import few, mismatch
from pathplugins.weights.model_folder import INDEX, weight_files

logger = logging.getLogger(__name__)

REWRITTEN = ("config.json", "preprocessor_config.json")
LINKED = (INDEX, "generation_config.json", "processor_config.json")
"""Beside weights and tokenizer; what a trainer left there (optimizer, logs, ``mm_projector.bin``) stays behind."""


def derived(source: Path, *, config: dict[str, Any], processor: dict[str, Any]) -> Path:
    """Return ``source`` with other options: a cached directory with its weights linked, or itself if nothing differs.

    Args:
        source: composed or trained directory.
        config: entries of ``config.json`` to replace; a dictionary replaces the entries it has.
        processor: entries of ``preprocessor_config.json`` to replace.
    """
    absent = [name for name in REWRITTEN if not (source / name).is_file()]
    if absent:
        raise CheckpointError(f"{source} holds no {' and no '.join(absent)}; give a composed or trained directory")
    before = [read_json(source / name) for name in REWRITTEN]
    known = before[1].keys() | load_image_processor(source).to_dict().keys()  # an earlier version wrote fewer
    if foreign := sorted(processor.keys() - known):
        raise PathPluginsError(f"{', '.join(foreign)}: not for the images {source} reads; remove the keys")
    after = [_merged(settings, changes) for settings, changes in zip(before, (config, processor), strict=True)]
    if after[0]["vision_feature_select_mode"] != before[0]["vision_feature_select_mode"]:
        after[0]["selector_config"] = config.get("selector_config", {})  # the other selector's mean nothing to this one
    if after == before:
        return source
    for settings in after:
        check_options(settings)
    weights = weight_files(source)
    files = [*weights, *(p for p in sorted(source.iterdir()) if p.name in LINKED or is_tokenizer_file(p))]
    _check_projector(source, weights, before[0]["projector_config"], after[0]["projector_config"])
    selector = fresh_selector(CustomLlavaConfig.from_dict(after[0]), seed=after[1].get("seed", 42))
    known = before[0].get("question_marks") if selector.needs_prompt else None
    after[0]["question_marks"] = known or marks_for(selector, source)
    index = {name: path for path in weights for name in open_weights(path)}
    fresh = {name: value for name, value in selector.state_dict().items() if SELECTOR_PREFIX + name not in index}
    if fresh:
        mode = after[0]["vision_feature_select_mode"]
        logger.warning("%s holds no weights of the token selector %s: its projection starts anew", source, mode)
    low_rank = _low_rank(source, index, after[0], seed=after[1].get("seed", 42))

    def fill(out: Path) -> None:
        for path in files:
            if not (fresh or low_rank) or (path not in weights and path.name != INDEX):
                (out / path.name).symlink_to(path.resolve())
        if fresh or low_rank:
            _link_and_add(out, index, fresh, low_rank)
        for name, settings in zip(reversed(REWRITTEN), reversed(after), strict=True):  # config.json last: it says done
            write_json(out / name, settings)

    return cached(f"custom_llava-view-{digest([stamp(files), after])}-v{pathplugins.__version__}", fill)


def _low_rank(source: Path, index: dict[str, Path], settings: dict[str, Any], *, seed: int) -> dict[str, Tensor]:
    """Return the first low-rank weights of ``joint_lora``, where the options ask for some that ``index`` lacks."""
    if not settings.get("joint_lora"):
        return {}
    text_config = CustomLlavaConfig.from_dict(settings).text_config
    first = fresh_joint_lora(text_config, settings["joint_lora"], seed=seed)
    trained = {name for name in index if f".{JOINT_LORA}." in name}
    if trained and trained != first.keys():
        raise PathPluginsError(
            f"joint_lora: {source} has trained low-rank weights beside other layers ({few(sorted(trained))}); "
            "leave the key out"
        )
    return {} if trained else first


def _link_and_add(out: Path, index: dict[str, Path], fresh: dict[str, Tensor], low_rank: dict[str, Tensor]) -> None:
    """Link the files of ``index`` (name of a weight -> file), write new weights beside, and an index over all.

    Args:
        out: directory of the view.
        index: see above.
        fresh: weights of a new selector.
        low_rank: weights of a new ``joint_lora``, by their whole names.
    """
    # Under its own name Transformers would take a model.safetensors for the whole and never look at the index.
    names = {path: f"linked-{path.name}" for path in index.values()}
    for path, name in names.items():
        (out / name).symlink_to(path.resolve())
    like = next(file for name, file in index.items() if name.startswith(PREFIX))
    connector = open_weights(like).containing(PREFIX)
    dtype = getattr(torch, connector.dtype(connector.names()[0]))
    weight_map = {name: names[path] for name, path in index.items()}
    if low_rank:
        save_file({name: value.to(dtype) for name, value in low_rank.items()}, out / JOINT_LORA_FILE, {"format": "pt"})
        weight_map |= dict.fromkeys(low_rank, JOINT_LORA_FILE)
    if fresh:
        save_selector({name: value.to(dtype) for name, value in fresh.items()}, out)
    weight_map |= {SELECTOR_PREFIX + name: SELECTOR_FILE for name in fresh}
    write_json(out / INDEX, {"metadata": {}, "weight_map": weight_map})


def _merged(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    nested = {key: {**(settings.get(key) or {}), **value} for key, value in changes.items() if isinstance(value, dict)}
    return {**settings, **changes, **nested}


def _check_projector(source: Path, files: list[Path], before: dict[str, Any], after: dict[str, Any]) -> None:
    """Refuse options that the trained connector's weights do not fit, and warn where its scale changes meaning."""
    resolve_connector(after["type"], {key: value for key, value in after.items() if key not in ("type", "scale_init")})
    if before.get("scale_init") != after.get("scale_init"):
        raise PathPluginsError(f"gamma_init: the gamma of {source} is trained already; remove the key")
    if report := mismatch(_weights(before), _weights(after)):
        raise PathPluginsError(
            f"projector_config: the connector of {source} has other weights than these options ask for: {report}; "
            "remove them, or set model_name_or_path: custom_llava to compose anew"
        )
    if "scale_min" not in before:
        return
    trained, now = ((options["scale_min"], options["scale_max"]) for options in (before, after))
    for file in files if trained != now else []:
        for logit in read_weights(file, containing=PREFIX + SCALE).values():
            warn_of_changed_scale(source, logit.item(), trained, now)


def _weights(options: dict[str, Any]) -> dict[str, Tensor]:
    """Return a connector's weights without memory, for their names and for the shapes that its options decide."""
    settings = {key: value for key, value in options.items() if key not in ("type", "scale_init")}
    with torch.device("meta"):
        width = options.get("num_attention_heads", 1)
        return CONNECTORS.get(options["type"])(width, width, **settings).state_dict()
