"""Compose a model directory from a language model, a vision tower and a connector, without copying the LLM's shards.

A composed directory holds ``llm-*.safetensors`` (links to the LLM's shards, under the LLM's own key names),
``vision_tower.safetensors``, ``projector.safetensors``, one index over them, ``config.json``, tokenizer and processor.
It loads with ``AutoModelForImageTextToText`` on every supported Transformers version.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import pathplugins
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import refuse_nonempty, write_json
from pathplugins.models.compose.cache import cached, new_directory
from pathplugins.models.compose.initialise import initialise
from pathplugins.models.compose.language_model import dtype_of, place_language_model, place_tokenizer, read_text_config
from pathplugins.models.compose.projector import (
    PREFIX,
    bounds_for,
    load_projector,
    projector_options,
)
from pathplugins.models.compose.selector_weights import SELECTOR_PREFIX, fresh_selector, load_selector, marks_for
from pathplugins.models.compose.spec import SELECTOR_FILE, ComposeSpec, resolve_connector, tower_without_weights
from pathplugins.models.compose.text_part import text_part
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.custom_llava.config_keys import refuse_unknown, tower_options
from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig
from pathplugins.models.custom_llava.connecting import check_connector, extra_tokens, fixed_tokens
from pathplugins.models.custom_llava.image_processing import TiledImageProcessor
from pathplugins.models.custom_llava.joint_lora import FILE as JOINT_LORA_FILE
from pathplugins.models.custom_llava.joint_lora import fresh_joint_lora
from pathplugins.models.custom_llava.processing_custom_llava import CustomLlavaImageProcessor
from pathplugins.models.custom_llava.vision_tokens import check_budget, check_looking
from pathplugins.models.towers import TOWERS, tower_expects
from pathplugins.published.preprocessing import clip_square
from pathplugins.weights.model_folder import INDEX

logger = logging.getLogger(__name__)


def compose(spec: ComposeSpec, out: Path, *, copy: bool = False) -> Path:
    """Write the model directory ``out``, which must not exist or be empty; nothing half-written is ever seen there.

    Args:
        spec: what to put together.
        out: where; created beside and renamed.
        copy: copy the LLM's shards instead of linking them, for a directory that must outlive or leave them.
    """
    refuse_nonempty(out)
    with new_directory(out) as beside:
        _write(spec, beside, copy=copy)
    return out


def composed(spec: ComposeSpec) -> Path:
    """Return the cached directory of ``spec``, composed once however many ranks and nodes ask at the same time."""

    def fill(out: Path) -> None:
        logger.info("composing %s", spec)
        _write(spec, out, copy=False)

    return cached(f"custom_llava-{spec.fingerprint()}-v{pathplugins.__version__}", fill)


def _write(spec: ComposeSpec, out: Path, *, copy: bool) -> None:
    llm = text_part(Path(spec.llm))
    text_config = read_text_config(llm)
    dtype = dtype_of(text_config)
    tower_config, tower_state = _tower(spec)
    tower = tower_without_weights(tower_config)
    connector_config, connector = _connector(spec, tower.hidden_size, text_config.hidden_size)
    if getattr(connector, "across_tiles", False) and tower.reads == "bags":
        raise PathPluginsError(
            f"mm_projector_type {spec.mm_projector_type} looks across the tiles of an image, and "
            f"{spec.vision_model_name} reads feature bags; choose another connector"
        )
    weights = place_language_model(llm, text_config, out, copy=copy)
    image_token, image_token_id = place_tokenizer(llm, out)
    config = CustomLlavaConfig(
        text_config=text_config,
        vision_config=tower_config,
        projector_config=connector_config,
        vision_feature_select_mode=_selector(spec, tower),
        selector_config=spec.selector_config,
        image_seq_length=spec.image_seq_length,
        image_token_id=image_token_id,
        use_prefix_lm_mask=spec.use_prefix_lm_mask,
        joint_lora=spec.joint_lora,
        torch_dtype=dtype,
        architectures=["CustomLlavaForConditionalGeneration"],
    )
    selector = fresh_selector(config, seed=spec.seed)
    check_looking(tower, selector)
    check_budget(tower, spec.image_seq_length)
    check_connector(connector, selector)
    config.question_marks = marks_for(selector, out)
    if spec.projector_path is not None:
        load_selector(selector, Path(spec.projector_path))
    dtype = _stored_in(spec, dtype, tower_state, connector.state_dict() if spec.projector_path else {})
    if tower_state:
        path = out / "vision_tower.safetensors"
        weights[path.name] = _save(tower_state, path, "vision_tower.", dtype)
    weights["projector.safetensors"] = _save(connector.state_dict(), out / "projector.safetensors", PREFIX, dtype)
    if state := selector.state_dict():
        weights[SELECTOR_FILE] = _save(state, out / SELECTOR_FILE, SELECTOR_PREFIX, dtype)
    if spec.joint_lora:
        low_rank = fresh_joint_lora(text_config, spec.joint_lora, seed=spec.seed)
        weights[JOINT_LORA_FILE] = _save(low_rank, out / JOINT_LORA_FILE, "", dtype)
    total = sum(p.stat().st_size for p in out.glob("*.safetensors"))
    weight_map = {key: name for name, keys in weights.items() for key in keys}
    write_json(out / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})
    write_json(out / "preprocessor_config.json", _image_processor(spec, tower, tower_config, connector).to_dict())
    # No "processor_class": AutoProcessor then goes by the configuration, which registers the processor.
    write_json(out / "processor_config.json", {"image_token": image_token})
    if (llm / "generation_config.json").is_file():
        shutil.copyfile(llm / "generation_config.json", out / "generation_config.json")
    config.save_pretrained(out)


def _selector(spec: ComposeSpec, tower: nn.Module) -> str:
    return spec.vision_feature_select_mode or ("none" if tower.reads == "images" else "random_sample")


def _image_processor(
    spec: ComposeSpec, tower: nn.Module, tower_config: dict[str, Any], connector: nn.Module
) -> CustomLlavaImageProcessor | TiledImageProcessor:
    given = {"connector_tokens": fixed_tokens(connector), "extra_tokens": extra_tokens(connector)}
    if tower.reads == "images":
        pixels = getattr(tower, "preprocess", None) or clip_square(tower.tile_size)
        return TiledImageProcessor(
            tile_size=tower.tile_size,
            tokens_per_tile=tower.tokens_per_tile,
            image_mean=pixels.mean,
            image_std=pixels.std,
            interpolation=pixels.interpolation,
            merged_tiles=getattr(connector, "across_tiles", False),
            image_aspect_ratio=spec.image_aspect_ratio,
            fast_resize=spec.fast_resize,
            vision_feature_select_mode=_selector(spec, tower),
            image_seq_length=spec.image_seq_length,
            seed=spec.seed,
            **given,
        )
    contract = tower_expects(tower_config)
    if spec.random_vision_seed is not None:  # random weights know no encoder
        contract = replace(contract, expects_encoder=None)
    return CustomLlavaImageProcessor(
        **asdict(contract),
        allow_other_encoder=spec.allow_other_encoder,
        patches_per_wsi=spec.patches_per_wsi,
        patches_sampling=spec.patches_sampling,
        patches_per_case=spec.patches_per_case,
        case_shares=spec.case_shares,
        max_images=getattr(connector, "max_images", None),
        patches_block=spec.patches_block,
        vision_feature_select_mode=_selector(spec, tower),
        image_seq_length=spec.image_seq_length,
        coords_mpp=spec.coords_mpp,
        compat_coords_yx=spec.compat_coords_yx,
        seed=spec.seed,
        **given,
    )


def _tower(spec: ComposeSpec) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return configuration and weights of the tower."""
    name = "longnet_vit" if spec.vision_model_name == "gigapath" else spec.vision_model_name
    try:
        if spec.vision_tower is not None:
            options, state = TOWERS.get(name).read_weights(spec.vision_tower, spec.vision_config)
            return {"model_type": name, **options}, state
        if not spec.starts_fresh:
            seed = spec.random_vision_seed
            logger.warning("the vision tower has RANDOM weights (seed %s): for smoke tests only", seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.seed if spec.random_vision_seed is None else spec.random_vision_seed)
            tower = TOWERS.get(name).build(spec.vision_config)
            initialise(tower)
    except TypeError as error:
        refuse_unknown(spec.vision_config, tower_options(name), f"vision_config of {name}")
        raise PathPluginsError(f"vision_config {spec.vision_config} of {name}: {error}; check the names") from error
    return {"model_type": name, **vars(tower.config)}, tower.state_dict()


def _connector(spec: ComposeSpec, vision_width: int, llm_width: int) -> tuple[dict[str, Any], nn.Module]:
    """Return configuration and module of the connector; trained weights tell the options that their shapes show."""
    kind, path = spec.mm_projector_type, spec.projector_path and Path(spec.projector_path)
    told = projector_options(path) if path else {}
    if told and not getattr(CONNECTORS.get(kind), "across_tiles", False):
        raise PathPluginsError(
            f"projector_path: {path} holds a scale_invariant connector; mm_projector_type is {kind}, "
            "set it to scale_invariant"
        )
    options = resolve_connector(kind, {**told, **spec.projector_config})
    if path and "scale_min" in options:
        options |= bounds_for(path, options, spec.projector_config)
        resolve_connector(kind, options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        connector = CONNECTORS.get(kind)(vision_width, llm_width, **options)
        initialise(connector)
    if path:
        load_projector(connector, path, keep_scale=spec.keep_gamma)
    return {"type": kind, **options}, connector


def _stored_in(spec: ComposeSpec, language_model: torch.dtype, *states: dict[str, Tensor]) -> torch.dtype:
    """Return the dtype of what stands beside the language model, and say where it is less exact than the source."""
    if spec.keep_float32:
        return torch.float32
    eps = torch.finfo(language_model).eps
    floats = [value for state in states for value in state.values() if value.is_floating_point()]
    finer = [value for value in floats if torch.finfo(value.dtype).eps < eps]
    rounded = {value.dtype for value in finer if not torch.equal(value.to(language_model).to(value.dtype), value)}
    if coarser := sorted(map(str, rounded)):
        logger.warning(
            "vision tower and connector are stored in the language model's %s, rounded from %s (a slide token moves by "
            "about 1 %% in bfloat16); keep_float32 (--keep-float32) stores them exactly, for runs that load float32",
            language_model,
            ", ".join(coarser),
        )
    return language_model


def _save(state: dict[str, Tensor], path: Path, prefix: str, dtype: torch.dtype) -> list[str]:
    """Write a part under its prefix in ``dtype``; return its keys."""
    tensors = {prefix + key: value.to(dtype).contiguous() for key, value in state.items()}
    save_file(tensors, path, metadata={"format": "pt"})
    return list(tensors)
