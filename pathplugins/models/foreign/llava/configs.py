"""Write the configurations of a `custom_llava` model as other loaders of LLaVA read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pathplugins.core.files import write_json
from pathplugins.models.foreign.llava.settings import RATIOS, UNPADDED
from pathplugins.models.foreign.open_clip.clip_directory import image_processor
from pathplugins.models.towers.clip_vit import CHOSEN, ClipVisionConfig
from pathplugins.weights.names.llava import Layout

_ORIGINAL = {"llama": "llava_llama", "mistral": "llava_mistral"}
"""Family of the language model -> ``model_type`` of the original since its version 1.2."""


def problems_of(config: dict[str, Any], processor: dict[str, Any], layout: Layout) -> list[str]:
    """Return the properties of a model that LLaVA v1.5 cannot have, in words."""
    text, problems = config["text_config"], []
    if (tower := config["vision_config"].get("model_type")) not in ("clip", "plip"):
        problems.append(f"its vision tower is {tower}, wanted clip")
    connectors = ("mlp2x_gelu",) if layout == "hf-llava" else ("mlp2x_gelu", "linear")
    if (connector := config["projector_config"]["type"]) not in connectors:
        problems.append(f"its connector is {connector}, wanted {' or '.join(connectors)}")
    if (selector := config["vision_feature_select_mode"]) != "none":
        problems.append(f"its token selector is {selector}, wanted none")
    ratios = ("pad",) if layout == "hf-llava" else RATIOS
    if tower in ("clip", "plip") and (ratio := processor.get("image_aspect_ratio")) not in ratios:
        problems.append(f"its image_aspect_ratio is {ratio}, wanted {' or '.join(ratios)}")
    if config["vision_config"].get("looks_ahead"):
        problems.append("its vision tower has looks_ahead, weights that LLaVA has no place for")
    if config.get("use_prefix_lm_mask"):
        problems.append("use_prefix_lm_mask is on")
    if layout == "llava" and text["model_type"] not in _ORIGINAL:
        problems.append(f"its language model is a {text['model_type']}, wanted {' or '.join(_ORIGINAL)}")
    scaling = text.get("rope_scaling") or {}
    if layout == "llava" and scaling.get("rope_type", scaling.get("type", "linear")) not in ("linear", "dynamic"):
        problems.append(f"its rope_scaling {scaling} is newer than the Transformers 4.37 of the original")
    return problems


def vision_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the tower's configuration by Transformers' names, with as many layers as are built."""
    options = {name: value for name, value in config["vision_config"].items() if name != "model_type"}
    built = ClipVisionConfig(**options).layers_built
    return {
        **{name: value for name, value in options.items() if name not in CHOSEN},
        "model_type": "clip_vision_model",
        "num_hidden_layers": built,
    }


def transformers_config(config: dict[str, Any], dtype: str) -> dict[str, Any]:
    """Return ``config.json`` of ``LlavaForConditionalGeneration``, its embedding with a row for the image token."""
    text, vision = dict(config["text_config"]), vision_config(config)
    rows, token = text["vocab_size"], config["image_token_id"]
    written = {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "image_token_index": token,
        "image_seq_length": (vision["image_size"] // vision["patch_size"]) ** 2,
        "multimodal_projector_bias": True,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
        "tie_word_embeddings": text.get("tie_word_embeddings", False),
        "torch_dtype": dtype,
        "text_config": {**text, "vocab_size": max(rows, token + 1)},
        "vision_config": vision,
    }
    return written if token < rows else {**written, UNPADDED: rows}


def original_config(config: dict[str, Any], dtype: str, tower: Path, ratio: str) -> dict[str, Any]:
    """Return ``config.json`` of haotian-liu/LLaVA, with its tower in the directory ``tower``."""
    text = {name: value for name, value in config["text_config"].items() if name not in ("dtype", "_name_or_path")}
    family = text["model_type"]
    return {
        **text,
        "model_type": _ORIGINAL[family],
        "architectures": [f"Llava{family.capitalize()}ForCausalLM"],
        "torch_dtype": dtype,
        "mm_vision_tower": str(tower),
        "mm_hidden_size": config["vision_config"]["hidden_size"],
        "mm_projector_type": config["projector_config"]["type"],
        "mm_vision_select_layer": -1,
        "mm_vision_select_feature": "patch",
        "mm_patch_merge_type": "flat",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "use_mm_proj": True,
        "image_aspect_ratio": ratio,
        "tune_mm_mlp_adapter": False,
        "freeze_mm_mlp_adapter": False,
        "unfreeze_mm_vision_tower": False,
        "tokenizer_padding_side": "right",
        "tokenizer_model_max_length": text.get("max_position_embeddings", 2048),
    }


def write_processor(folder: Path, config: dict[str, Any], token: str) -> None:
    """Write image processor and processor of Transformers' LLaVA, padding as ours does (from Transformers 4.49 on)."""
    vision = config["vision_config"]
    settings = image_processor(vision["image_size"])
    settings |= {"image_processor_type": "LlavaImageProcessor", "do_pad": True, "processor_class": "LlavaProcessor"}
    write_json(folder / "preprocessor_config.json", settings)
    told = {
        "processor_class": "LlavaProcessor",
        "image_token": token,
        "patch_size": vision["patch_size"],
        "num_additional_image_tokens": 1,
        "vision_feature_select_strategy": "default",
    }
    write_json(folder / "processor_config.json", told)
