"""Compose a model directory from a language model, a vision tower and a connector, without copying the LLM's shards.

A composed directory holds ``llm-*.safetensors`` (links to the LLM's shards, under the LLM's own key names),
``vision_tower.safetensors``, ``projector.safetensors``, one index over them, ``config.json``, tokenizer and processor.
It loads with ``AutoModelForImageTextToText`` on every supported Transformers version.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig

import pathplugins
from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.models.checkpoints.projector import load_projector
from pathplugins.models.checkpoints.spec import ComposeSpec, stamp
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig
from pathplugins.models.custom_llava.processing_custom_llava import (
    CustomLlavaImageProcessor,
    make_tokenizer_portable,
    write_json,
)
from pathplugins.models.towers import TOWERS
from pathplugins.models.towers.longnet_vit import load_slide_encoder

logger = logging.getLogger(__name__)

INDEX = "model.safetensors.index.json"
RESERVED = ("<|reserved_special_token_0|>", "<|image_pad|>", "<|placeholder1|>", "<unused0>", "[control_8]", "<|extra_0|>")
"""Vocabulary entries that LLM authors left free: Llama 3, Qwen 2, Phi 3, Gemma, Mistral 3, Qwen 1."""


def compose(spec: ComposeSpec, out: Path, *, copy: bool = False) -> Path:
    """Write the model directory ``out``, which must not exist or be empty; nothing half-written is ever seen there.

    Args:
        spec: what to put together.
        out: where; created beside and renamed.
        copy: copy the LLM's shards instead of linking them, for a directory that must outlive or leave them.
    """
    if out.exists() and any(out.iterdir()):
        raise PathPluginsError(f"{out} exists and is not empty; choose another --out or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        _write(spec, beside, copy=copy)
        beside.chmod(0o755)
        if out.exists():
            out.rmdir()
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # gone already when the rename went through
    return out


def composed(spec: ComposeSpec) -> Path:
    """The directory of ``spec`` in the cache, composed once however many ranks and nodes ask at the same time."""
    root = cache_dir()
    root.mkdir(parents=True, exist_ok=True)
    out = root / f"custom_llava-{spec.fingerprint()}-v{pathplugins.__version__}"
    with FileLock(str(out) + ".lock"):
        if not (out / "config.json").is_file():
            logger.info("composing %s", out)
            compose(spec, out)
    return out


def cache_dir() -> Path:
    """Where composed directories are kept: ``PATHPLUGINS_CACHE``, else ``~/.cache/pathplugins``."""
    return Path(os.environ.get("PATHPLUGINS_CACHE") or Path.home() / ".cache" / "pathplugins")


def _write(spec: ComposeSpec, out: Path, *, copy: bool) -> None:
    llm = Path(spec.llm)
    text_config = AutoConfig.from_pretrained(llm)
    shards = _place_language_model(llm, text_config, out, copy=copy)
    image_token, image_token_id = _place_tokenizer(llm, out)

    dtype = getattr(text_config, "torch_dtype", None) or torch.float32
    tower_config, tower_state, width = _tower(spec)
    projector_config = {"type": spec.mm_projector_type, **spec.projector_config}
    connector = _connector(spec, width, text_config.hidden_size)
    shards["vision_tower.safetensors"] = _save(tower_state, out / "vision_tower.safetensors", "vision_tower.", dtype)
    shards["projector.safetensors"] = _save(
        connector.state_dict(), out / "projector.safetensors", "multi_modal_projector.", dtype
    )
    weight_map = {key: name for name, keys in shards.items() for key in keys}
    total = sum(p.stat().st_size for p in out.glob("*.safetensors"))
    write_json(out / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})

    config = CustomLlavaConfig(
        text_config=text_config,
        vision_config=tower_config,
        projector_config=projector_config,
        vision_feature_select_mode=spec.vision_feature_select_mode,
        image_seq_length=spec.image_seq_length,
        image_token_id=image_token_id,
        use_prefix_lm_mask=spec.use_prefix_lm_mask,
        torch_dtype=dtype,
        architectures=["CustomLlavaForConditionalGeneration"],
    )
    config.save_pretrained(out)
    if (llm / "generation_config.json").is_file():
        shutil.copyfile(llm / "generation_config.json", out / "generation_config.json")
    processor = CustomLlavaImageProcessor(
        feature_dim=tower_config["in_chans"],
        patches_per_wsi=spec.patches_per_wsi,
        vision_feature_select_mode=spec.vision_feature_select_mode,
        image_seq_length=spec.image_seq_length,
        coords_mpp=spec.coords_mpp,
        compat_coords_yx=spec.compat_coords_yx,
        seed=spec.seed,
    )
    write_json(out / "preprocessor_config.json", processor.to_dict())
    # No "processor_class": AutoProcessor then goes by the configuration, which registers the processor.
    write_json(out / "processor_config.json", {"image_token": image_token})


def _place_language_model(llm: Path, text_config: PretrainedConfig, out: Path, *, copy: bool) -> dict[str, list[str]]:
    """Link (or copy) the shards; returns file name -> keys. Refuses a model whose weights are not all there."""
    sources = sorted(llm.glob("*.safetensors"))
    if not sources:
        other = sorted(p.name for p in llm.glob("*.bin"))
        raise CheckpointError(
            f"{llm} holds no .safetensors" + (f" (found {', '.join(other)})" if other else "") + "; convert it once with "
            "AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(OUT)"
        )
    shards = {}
    for source in sources:
        name = f"llm-{source.name}"
        with safe_open(source, framework="pt") as file:
            shards[name] = list(file.keys())
        if copy:
            shutil.copyfile(source, out / name)
        else:
            (out / name).symlink_to(source.resolve())
    with torch.device("meta"):
        wanted = set(AutoModelForCausalLM.from_config(text_config).state_dict())
    if text_config.tie_word_embeddings:
        wanted.discard("lm_head.weight")
    strange = sorted(key for key in wanted if not key.startswith(("model.", "lm_head.")))
    if strange:
        raise CheckpointError(
            f"{llm}: a {text_config.model_type} language model names its weights {strange[0]} ...; only models whose "
            "weights are named model.* and lm_head.* are supported (Llama, Qwen, Mistral, Phi, Gemma and their kin)"
        )
    missing = sorted(wanted - {key for keys in shards.values() for key in keys})
    if missing:
        raise CheckpointError(
            f"{llm} lacks {len(missing)} of {len(wanted)} weights of its own config.json, first {missing[0]}; is the "
            "download complete?"
        )
    return {name: [key for key in keys if key in wanted] for name, keys in shards.items()}


def _place_tokenizer(llm: Path, out: Path) -> tuple[str, int]:
    """Copy the tokenizer and choose the entry that stands for a vision token."""
    tokenizer = AutoTokenizer.from_pretrained(llm)
    vocabulary = tokenizer.get_vocab()
    token = next((name for name in RESERVED if name in vocabulary), None)
    if token is not None:
        for path in llm.iterdir():
            if path.is_file() and (path.suffix in (".model", ".jinja") or path.name in _TOKENIZER_FILES):
                shutil.copyfile(path, out / path.name)
    else:
        # The id may lie outside the embedding: the model never looks it up, so nothing has to be resized.
        token = "<image>"
        tokenizer.add_tokens([token], special_tokens=True)
        tokenizer.save_pretrained(out)
    make_tokenizer_portable(out)
    return token, tokenizer.convert_tokens_to_ids(token)


_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
)


def _tower(spec: ComposeSpec) -> tuple[dict[str, Any], dict[str, Tensor], int]:
    """Configuration, weights and width of the tower."""
    name = "longnet_vit" if spec.vision_model_name == "gigapath" else spec.vision_model_name
    if spec.vision_tower is not None:
        config, state = load_slide_encoder(spec.vision_tower, num_heads=spec.vision_config.get("num_heads"))
        options = {**vars(config), **spec.vision_config}
        return {"model_type": name, **options}, state, options["embed_dim"]
    logger.warning("the vision tower has RANDOM weights (seed %s): for smoke tests only", spec.random_vision_seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.random_vision_seed)
        tower = TOWERS.get(name)(spec.vision_config)
        _initialise(tower)
    return {"model_type": name, **vars(tower.config)}, tower.state_dict(), tower.hidden_size


def _connector(spec: ComposeSpec, width: int, text_width: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        connector = CONNECTORS.get(spec.mm_projector_type)(width, text_width, **spec.projector_config)
        _initialise(connector)
    if spec.projector_path is not None:
        load_projector(connector, Path(spec.projector_path), keep_scale=spec.keep_gamma)
    return connector


def _initialise(part: nn.Module) -> None:
    """Weights that keep the variance of what passes through, and whatever the part itself resets."""
    for module in part.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    getattr(part, "reset_parameters", lambda: None)()


def _save(state: dict[str, Tensor], path: Path, prefix: str, dtype: torch.dtype) -> list[str]:
    """Write a part under its prefix in the language model's dtype; returns its keys."""
    tensors = {prefix + key: value.to(dtype).contiguous() for key, value in state.items()}
    save_file(tensors, path, metadata={"format": "pt"})
    return list(tensors)


def derived(source: Path, *, config: dict[str, Any], processor: dict[str, Any]) -> Path:
    """A cached view of the model directory ``source`` with other options, its weights linked.

    Args:
        source: composed or trained directory.
        config: entries of ``config.json`` to replace.
        processor: entries of ``preprocessor_config.json`` to replace.
    """
    key = hashlib.sha256(json.dumps([stamp(source), config, processor], sort_keys=True).encode()).hexdigest()[:16]
    root = cache_dir()
    root.mkdir(parents=True, exist_ok=True)
    out = root / f"custom_llava-view-{key}"
    with FileLock(str(out) + ".lock"):
        if (out / "config.json").is_file():
            return out
        beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=root))
        for path in source.iterdir():
            if path.is_file() and path.suffix != ".bin" and path.name not in ("config.json", "preprocessor_config.json"):
                (beside / path.name).symlink_to(path.resolve())
        for name, changes in (("preprocessor_config.json", processor), ("config.json", config)):
            settings = json.loads((source / name).read_text())
            for entry, value in changes.items():
                settings[entry] = {**settings[entry], **value} if isinstance(value, dict) else value
            write_json(beside / name, settings)
        beside.chmod(0o755)
        beside.rename(out)
    return out

