"""Export a `custom_llava` model as a LLaVA checkpoint that others load without this package, bit for bit.

``llava`` is a directory of haotian-liu/LLaVA v1.5, ``hf-llava`` one of Transformers' ``LlavaForConditionalGeneration``.
Only models that are a LLaVA v1.5 fit: a CLIP tower, `mlp2x_gelu` or `linear`, every patch token, images padded to a
square (for ``llava`` also cut to one). Our towers end with the layer that is read, so what is written has that many
layers and reads the last.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoConfig, PretrainedConfig

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json, refuse_nonempty, write_json
from pathplugins.models.compose.cache import new_directory
from pathplugins.models.compose.language_model import dtype_of
from pathplugins.models.compose.shard_writer import SHARD_BYTES, ShardWriter
from pathplugins.models.custom_llava.auto import register
from pathplugins.models.custom_llava.modeling_custom_llava import CustomLlavaForConditionalGeneration
from pathplugins.models.custom_llava.rope import legacy_rope
from pathplugins.models.custom_llava.tokenizer_files import is_tokenizer_file, without_token
from pathplugins.models.foreign.language_model import VOCABULARY
from pathplugins.models.foreign.llava.configs import (
    original_config,
    problems_of,
    transformers_config,
    vision_config,
    write_processor,
)
from pathplugins.models.foreign.open_clip.clip_directory import image_processor
from pathplugins.models.towers.clip_checkpoint import read_clip
from pathplugins.weights import Stored
from pathplugins.weights.compare import few
from pathplugins.weights.model_folder import folder_weights, weight_files
from pathplugins.weights.names.llava import Layout, to_layout

TOWER = "vision_tower."
TOWER_FOLDER = "vision_tower"


def export_llava(
    model: Path, out: Path, layout: Layout, *, vision_tower: str | None = None, shard_bytes: int = SHARD_BYTES
) -> dict[str, Any]:
    """Write ``out``, which must not exist or be empty; nothing half-written is ever seen there.

    Args:
        model: composed, trained or imported model directory.
        out: where.
        layout: whose checkpoint.
        vision_tower: for ``llava``: directory the original shall read its tower from, which must hold the same
            weights; a copy in ``out`` when None. Its last layers and its ``select_layer`` then stay as they are.
        shard_bytes: of a shard, at most.

    Returns:
        ``config.json`` as written.

    Raises:
        CheckpointError: The model is no LLaVA v1.5, or not whole.
    """
    refuse_nonempty(out)
    config, processor, token = _settings(model)
    if problems := problems_of(config, processor, layout):
        raise CheckpointError(f"{model} is no LLaVA v1.5, as --to {layout} needs it: {'; '.join(problems)}")
    if vision_tower is not None and layout != "llava":
        raise PathPluginsError(f"--vision-tower is for --to llava; leave it out, {layout} holds its tower itself")
    if vision_tower is not None and not Path(vision_tower).is_dir():
        raise PathPluginsError(f"--vision-tower {vision_tower} is no directory; leave it out to have it written")
    tensors = _tensors(model)
    if vision_tower is not None:
        _check_tower(model, vision_tower, config, tensors)
    dtype = str(dtype_of(AutoConfig.from_pretrained(model).text_config)).removeprefix("torch.")
    with new_directory(out) as beside:
        if layout == "llava":
            place = Path(vision_tower or out / TOWER_FOLDER).absolute()
            written = original_config(config, dtype, place, processor["image_aspect_ratio"])
            if vision_tower is None:
                _write_tower(tensors, config, dtype, beside / TOWER_FOLDER)
            else:
                written["mm_vision_select_layer"] = config["vision_config"]["select_layer"]
        else:
            written = transformers_config(config, dtype)
            write_processor(beside, config, token)
        with ShardWriter(beside, shard_bytes=shard_bytes) as writer:
            for name, value in _converted(tensors, config, layout, written):
                writer.add(name, value)
        for path in model.iterdir():
            if is_tokenizer_file(path) or path.name == "generation_config.json":
                shutil.copyfile(path, beside / path.name)
        if layout == "llava" and config["image_token_id"] >= config["text_config"]["vocab_size"]:
            without_token(beside, token)  # the original would make room for it, with random weights
        write_json(beside / "config.json", written)
    return written


def _settings(model: Path) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Read ``config.json`` (rotary embedding by the older names), the image processor's settings, the image token."""
    names = ("config.json", "preprocessor_config.json", "processor_config.json")
    if absent := [name for name in names if not (model / name).is_file()]:
        raise CheckpointError(f"{model} holds no {' and no '.join(absent)}; give a whole model directory")
    register()
    config, processor, told = (read_json(model / name) for name in names)
    if config.get("model_type") != "custom_llava":
        raise CheckpointError(f"{model} is a {config.get('model_type')}, wanted a custom_llava directory")
    defaults = _defaults(AutoConfig.from_pretrained(model).text_config)
    config["text_config"] = legacy_rope({**defaults, **config["text_config"]})
    return config, processor, told["image_token"]


def _defaults(text: PretrainedConfig) -> dict[str, Any]:
    """Return a language model's own settings in full: Transformers 4 leaves out those that are its defaults."""
    common = PretrainedConfig().to_dict()
    own = {name: value for name, value in text.to_dict().items() if name not in common}
    return {**own, "tie_word_embeddings": text.tie_word_embeddings}  # whose default is not the same for all


def _tensors(model: Path) -> dict[str, Stored]:
    """Return all weights by name; refuse a directory that lacks some or has more."""
    weight_files(model)  # safetensors alone
    found = folder_weights(model).stored
    config = AutoConfig.from_pretrained(model)
    with torch.device("meta"):
        wanted = set(CustomLlavaForConditionalGeneration(config).state_dict())
    if config.text_config.tie_word_embeddings:
        wanted.discard("lm_head.weight")
        found.pop("lm_head.weight", None)
    missing, more = sorted(wanted - found.keys()), sorted(found.keys() - wanted)
    if missing or more:
        raise CheckpointError(
            f"{model}: {len(found)} tensors read, {len(wanted)} wanted: {len(missing)} missing "
            f"({few(missing) or 'none'}), {len(more)} unexpected ({few(more) or 'none'}); give a directory of the "
            "whole model, with any adapter merged"
        )
    return found


def _converted(
    tensors: dict[str, Stored], config: dict[str, Any], layout: Layout, written: dict[str, Any]
) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights by the names of ``layout``, each read when its turn comes."""
    linear = config["projector_config"]["type"] == "linear"
    for name, stored in tensors.items():
        if layout == "llava" and name.startswith(TOWER):
            continue  # in a directory of its own
        value = stored.read()
        if layout == "hf-llava" and name in VOCABULARY:
            value = _with_rows(value, written["text_config"]["vocab_size"])
        yield to_layout(name, layout, linear=linear), value
    if layout == "hf-llava":
        for name, value in _last_norm(tensors).items():
            yield f"vision_tower.vision_model.{name}", value


def _with_rows(value: Tensor, rows: int) -> Tensor:
    """Add rows for entries the model never says: their logit is the mean of all others, so never the highest."""
    more = rows - value.shape[0]
    if more <= 0:
        return value
    mean = value.mean(0, keepdim=True, dtype=torch.float32).to(value.dtype)
    return torch.cat([value, mean.expand(more, *value.shape[1:])])


def _last_norm(tensors: dict[str, Stored]) -> dict[str, Tensor]:
    """Return weights of the norm behind the last layer, which LLaVA does not use but its loaders look for."""
    like = tensors[f"{TOWER}pre_layrnorm.weight"].read()
    return {"post_layernorm.weight": torch.ones_like(like), "post_layernorm.bias": torch.zeros_like(like)}


def _write_tower(tensors: dict[str, Stored], config: dict[str, Any], dtype: str, folder: Path) -> None:
    """Write the vision tower as a CLIP directory, which the original reads beside the rest."""
    folder.mkdir()
    inside = {name.removeprefix(TOWER): value.read() for name, value in tensors.items() if name.startswith(TOWER)}
    state = {f"vision_model.{name}": value for name, value in (inside | _last_norm(tensors)).items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    vision = vision_config(config)
    write_json(folder / "config.json", {"architectures": ["CLIPVisionModel"], "torch_dtype": dtype, **vision})
    write_json(folder / "preprocessor_config.json", image_processor(vision["image_size"]))


def _check_tower(model: Path, named: str, config: dict[str, Any], tensors: dict[str, Stored]) -> None:
    """Refuse a tower with other weights or settings than the model's."""
    options = {"select_layer": config["vision_config"]["select_layer"]}
    told, state = read_clip(named, options)
    own = {name: value for name, value in config["vision_config"].items() if name != "model_type"}
    other = sorted(name for name in told if told[name] != own.get(name))
    differing = [name for name in state if not _equal(tensors.get(TOWER + name), state[name])]
    if other or differing:
        raise CheckpointError(
            f"--vision-tower {named} is not the tower of {model}: {len(differing)} of {len(state)} tensors differ "
            f"({few(differing) or 'none'}), and these settings: {few(other) or 'none'}; leave it out to write the "
            "tower beside the rest"
        )


def _equal(stored: Stored | None, value: Tensor) -> bool:
    own = stored.read() if stored is not None else torch.empty(0)
    return own.shape == value.shape and torch.equal(own, value.to(own.dtype))
