"""The model directory that a YAML asks for: composed from its parts, or a finished one with other options."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from llamafactory.extras.misc import try_download_model_from_other_hub

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.llamafactory.keys import PathPluginsArguments
from pathplugins.models.compose.connector_keys import CONNECTOR_KEYS, connector_options
from pathplugins.models.compose.local_copy import FILES, TOWER_FILES, local_copy
from pathplugins.models.towers import TOWERS, reads_images

logger = logging.getLogger(__name__)

VIRTUAL_MODEL = "custom_llava"
"""``model_name_or_path`` that asks for a model composed from the keys below."""


_SELECTOR = ("vision_feature_select_mode", "image_seq_length")
_CONFIG = (*_SELECTOR, "selector_config", "use_prefix_lm_mask", "joint_lora")
_BAGS = (
    "patches_per_wsi",
    "patches_sampling",
    "patches_per_case",
    "case_shares",
    "patches_block",
    "coords_mpp",
    "compat_coords_yx",
    "allow_other_encoder",
)
_IMAGES = ("image_aspect_ratio", "fast_resize")
_COMPOSE_ONLY = (
    "llm_name_or_path",
    "vision_tower",
    "vision_model_name",
    "random_vision_seed",
    "vision_config",
    "projector_path",
    "mm_projector_type",
)
_DOWNLOAD = {"revision": "model_revision", "cache_dir": "cache_dir", "token": "hf_hub_token"}
PARTS = tuple(dict.fromkeys((*_CONFIG, *_BAGS, *_IMAGES, *CONNECTOR_KEYS, *_COMPOSE_ONLY, "projector_config")))
"""Keys that a model directory answers: once it is there they ask for nothing more."""


def model_settings(directory: str | None) -> dict[str, Any] | None:
    """Return ``config.json`` of a `custom_llava` directory, None for any other model."""
    path = Path(directory or "") / "config.json"
    if not path.is_file():
        return None
    config = read_json(path)
    return config if config.get("model_type") == VIRTUAL_MODEL else None


def given(args: PathPluginsArguments, names: Iterable[str]) -> dict[str, Any]:
    """Return those of the arguments ``names`` that have a value."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def compose_model(args: PathPluginsArguments) -> Path:
    """Compose a model of the parts in ``args``, or find it in the cache; return its directory."""
    from pathplugins.models.compose.compose import composed
    from pathplugins.models.compose.fresh_tower import fresh_tower
    from pathplugins.models.compose.spec import ComposeSpec, tower_without_weights

    if args.llm_name_or_path is None:
        raise PathPluginsError(
            f"model_name_or_path: {VIRTUAL_MODEL} needs llm_name_or_path, the language model to build on"
        )
    if args.mm_use_im_start_end or args.mm_use_im_patch_token:
        raise PathPluginsError("mm_use_im_start_end and mm_use_im_patch_token are not supported; set both to false")
    connector = connector_options(vars(args))
    images = args.vision_model_name in TOWERS and reads_images(args.vision_model_name)  # ComposeSpec judges the name
    kind = args.mm_projector_type or ("scale_invariant" if images else "gamma_mlp")
    if kind == "mlp2x_gelu" and connector:
        logger.info("gamma_* or projector_dropout is set: mm_projector_type mlp2x_gelu means gamma_mlp, as published")
        kind = "gamma_mlp"
    if args.image_seq_length == 0:
        logger.warning("image_seq_length is 0: the language model sees one vision token per slide, its CLS token")
    options = given(
        args, ("vision_tower", "vision_model_name", "vision_config", "random_vision_seed", "projector_path")
    )
    if args.vision_mode not in (None, "image" if images else "wsi"):
        tower = args.vision_model_name or "gigapath"
        raise PathPluginsError(f"vision_mode is {args.vision_mode}, which {tower} does not read; remove or correct it")
    if images:
        options.update(_image_options(args))
    else:
        options.update(given(args, _BAGS))
    options.update(given(args, (*_SELECTOR, "selector_config")))
    spec = ComposeSpec(
        llm=local_model(args.llm_name_or_path, "llm_name_or_path", FILES, vars(args)),
        mm_projector_type=kind,
        projector_config={**(args.projector_config or {}), **connector},
        keep_gamma=args.keep_gamma,
        seed=args.projector_seed,
        **options,
        **given(args, ("use_prefix_lm_mask", "joint_lora")),
    )
    args.fresh_tower = fresh_tower(vars(spec))  # no key: seen when it is known what is frozen
    directory = composed(spec)
    width = tower_without_weights(read_json(directory / "config.json")["vision_config"]).hidden_size
    if args.mm_hidden_size not in (None, width):
        raise PathPluginsError(
            f"mm_hidden_size is {args.mm_hidden_size} but the vision tower gives {width}; remove or correct it"
        )
    return directory


def _image_options(args: PathPluginsArguments) -> dict[str, Any]:
    """Return the options of a composed model whose tower reads images."""
    if names := ", ".join(given(args, _BAGS)):
        raise PathPluginsError(f"{names}: for feature bags, and {args.vision_model_name} reads images; remove the keys")
    options = given(args, _IMAGES)
    if args.vision_tower is not None:
        options["vision_tower"] = local_copy(args.vision_tower, "vision_tower", TOWER_FILES)
    if args.mm_vision_select_layer is not None:
        options["vision_config"] = {"select_layer": args.mm_vision_select_layer, **(args.vision_config or {})}
    return options


def derive_model(args: PathPluginsArguments) -> Path:
    """Return a directory with the weights of ``args.model_name_or_path`` and the options in ``args``."""
    from pathplugins.models.compose.view import derived

    if model_settings(args.model_name_or_path) is None:
        local_model(args.model_name_or_path, "model_name_or_path", ["config.json"], vars(args))
        names = ", ".join(given(args, PARTS))
        raise PathPluginsError(
            f"{names}: for pathology models only, but {args.model_name_or_path} is no {VIRTUAL_MODEL} directory; "
            f"remove the keys, or set model_name_or_path: {VIRTUAL_MODEL}"
        )
    fixed = given(args, _COMPOSE_ONLY)
    if fixed:
        raise PathPluginsError(
            f"{', '.join(fixed)}: {args.model_name_or_path} has these parts already; remove the keys, or set "
            f"model_name_or_path: {VIRTUAL_MODEL} to compose anew"
        )
    config = given(args, _CONFIG)
    projector = connector_options(vars(args))
    if projector := {**(args.projector_config or {}), **projector}:
        config["projector_config"] = projector
    images = reads_images(model_settings(args.model_name_or_path)["vision_config"]["model_type"])
    processor = given(args, (*_SELECTOR, *_BAGS, *_IMAGES) if images else (*_SELECTOR, *_BAGS))
    return derived(Path(args.model_name_or_path), config=config, processor=processor)


def local_model(name: str, key: str, files: list[str], settings: Mapping[str, Any]) -> str:
    """Return a model by path or hub id as a directory, fetched by LLaMA-Factory's rules where it is a hub id.

    Args:
        name: path or hub id.
        key: the key that names it, for messages.
        files: patterns of what to fetch.
        settings: the trainer's keys for downloads, such as ``model_revision`` and ``cache_dir``.
    """
    options = {option: settings.get(key) for option, key in _DOWNLOAD.items() if settings.get(key) is not None}
    if not Path(name).exists() and not Path(name).is_absolute() and not name.startswith("."):
        asked = {"model_name_or_path": name, "model_revision": "main", "cache_dir": None, "ms_hub_token": None}
        asked |= {key: settings[key] for key in asked.keys() & settings.keys() if key != "model_name_or_path"}
        name = try_download_model_from_other_hub(SimpleNamespace(**asked))
    return local_copy(name, key, files, **options)
