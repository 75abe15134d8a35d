"""Refuse keys of a model's ``config.json`` that nobody reads: a mistyped one would have no effect, without a word."""

from __future__ import annotations

import difflib
import functools
import inspect
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from transformers import CONFIG_MAPPING, GenerationConfig, PretrainedConfig

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import nearest
from pathplugins.core.registry import Registry
from pathplugins.core.value_types import wrong_types
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.towers import TOWERS

logger = logging.getLogger(__name__)

_LIKE_OURS = 0.85
"""Likeness from which on an unknown key is a mistyped one of ours."""
_HOSTS = (
    *("auto_map", "attn_implementation", "quantization_config", "trust_remote_code", "dtype", "torch_dtype"),
    *("rope_theta", "rope_scaling", "rope_parameters"),
)
"""Keys that some version of Transformers reads without having them in its configurations."""


def check_keys(settings: Mapping[str, Any], own: Iterable[str], where: str) -> None:
    """Refuse unknown keys at the top of a ``config.json`` and in its parts.

    Keys of Transformers and of the language model may stand at the top. Other keys are refused where they resemble
    one of ours or belong into ``preprocessor_config.json``; the rest, which another tool may have written, is named in
    one warning.

    Args:
        settings: the content of the file.
        own: our own keys at the top.
        where: the file, for messages.

    Raises:
        PathPluginsError: A key or a part is unknown; the nearest name is suggested.
    """
    _check_top(settings, sorted(own), where)
    if kind := (projector := dict(settings.get("projector_config") or {})).pop("type", None):
        check_part(CONNECTORS, kind, projector, f"{where}: projector_config of {kind}")
    if (kind := settings.get("vision_feature_select_mode")) and (selector := settings.get("selector_config")):
        check_part(SELECTORS, kind, selector, f"{where}: selector_config of {kind}")
    if kind := (settings.get("vision_config") or {}).get("model_type"):
        _check_tower(kind, settings["vision_config"], f"{where}: vision_config of {kind}")


def _check_top(settings: Mapping[str, Any], own: list[str], where: str) -> None:
    text = settings.get("text_config") or {}
    text = text if isinstance(text, dict) else text.to_dict()
    for key in sorted(settings.keys() - set(own) - _known(str(text.get("model_type")))):
        if key.startswith("_") or key in text:
            continue
        if key in _of_processors():
            raise PathPluginsError(f"{where}: {key} is a setting of preprocessor_config.json; set it there")
        if near := difflib.get_close_matches(key, own, n=1, cutoff=_LIKE_OURS):
            raise PathPluginsError(f"{where}: unknown key {key!r}. Did you mean {near[0]!r}? Correct or remove it")
        _warn(where, key)


def check_part(registry: Registry, kind: str, options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the defaults of all options of a connector or selector, after refusing options it does not have."""
    parameters = inspect.signature(registry.get(kind)).parameters.values()
    takes = {entry.name: entry.default for entry in parameters if entry.kind is entry.KEYWORD_ONLY}
    if not any(entry.kind is entry.VAR_KEYWORD for entry in parameters):
        refuse_unknown(options, takes, where)
    if wrong := wrong_types(registry.get(kind).__init__, options):
        raise PathPluginsError(f"{where}: {'; '.join(f'{name} {said}' for name, said in wrong.items())}; correct it")
    return takes


def _check_tower(kind: str, vision_config: Mapping[str, Any], where: str) -> None:
    """Refuse options that a vision tower does not have; it is built without memory to learn that."""
    try:
        _built(json.dumps(vision_config, sort_keys=True))
    except TypeError as error:
        if known := tower_options(kind):
            refuse_unknown(vision_config.keys() - {"model_type"}, known, where)
        raise PathPluginsError(f"{where}: {error}; correct the names") from error


def refuse_unknown(options: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse options that are none of the known ones, with the nearest name.

    Raises:
        PathPluginsError: There is such an option.
    """
    known = list(known)
    if wrong := sorted(set(options) - set(known)):
        near = nearest(wrong[0], known)
        hint = f" (did you mean {near!r}?)" if near else ""
        raise PathPluginsError(f"{where} has no option {wrong}{hint}; it has: {', '.join(known) or 'none'}")


@functools.lru_cache(64)
def _built(vision_config: str) -> None:
    import torch

    options = json.loads(vision_config)
    with torch.device("meta"):
        TOWERS.get(options.pop("model_type")).build(options)


def tower_options(kind: str) -> list[str]:
    """Return the names of a tower's options, empty where it cannot be built without any."""
    import torch

    try:
        with torch.device("meta"):
            return list(vars(TOWERS.get(kind).build({}).config))
    except TypeError:
        return []


@functools.cache
def _known(text: str) -> set[str]:
    """Return the keys of every configuration of Transformers and of a family of language models."""
    family = CONFIG_MAPPING.get(text, PretrainedConfig)
    signatures = (inspect.signature(kind.__init__).parameters for kind in (PretrainedConfig, family))
    names = {name for signature in signatures for name in signature}
    return {*PretrainedConfig().to_dict(), *names, *family.attribute_map, *GenerationConfig().to_dict(), *_HOSTS}


@functools.cache
def _of_processors() -> set[str]:
    """Return the settings of our image processors that are no keys of the model."""
    from pathplugins.models.custom_llava.image_processing import TiledImageProcessor
    from pathplugins.models.custom_llava.processing_custom_llava import CustomLlavaImageProcessor

    kinds = (TiledImageProcessor, CustomLlavaImageProcessor)
    return {name for kind in kinds for name in inspect.signature(kind.__init__).parameters} - {"self", "kwargs"}


@functools.cache
def _warn(where: str, key: str) -> None:
    logger.warning("%s: nobody here reads the key %r; it has no effect, remove it", where, key)
