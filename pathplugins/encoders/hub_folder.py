"""Read the card of a folder as ``hf download --local-dir`` leaves it, in timm's or Transformers' format."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.published.encoder_card import EncoderCard, Pool
from pathplugins.published.licence import Licence
from pathplugins.published.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocess
from pathplugins.weights.model_folder import BIN_INDEX, BIN_WHOLE, INDEX, WHOLE

WEIGHT_FILES = (WHOLE, INDEX, BIN_WHOLE, BIN_INDEX)
"""Names of weights in a hub folder, the safe ones first; an index stands for the shards that it lists."""
TORCHSCRIPT = "model.pt"
RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  #: Pillow's numbers, as Transformers writes them
#: defaults of Transformers, which a ``config.json`` may leave out
DEFAULTS: dict[str, dict[str, Any]] = {
    "vit": {"image_size": 224, "patch_size": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-12},
    "dinov2": {"image_size": 224, "patch_size": 14, "hidden_act": "gelu", "layer_norm_eps": 1e-6, "mlp_ratio": 4},
    "clip": {"image_size": 224, "patch_size": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5},
    "siglip": {"image_size": 224, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6},
}
DEFAULTS["dinov2_with_registers"] = {**DEFAULTS["dinov2"], "patch_size": 16, "num_register_tokens": 4}
ACTIVATIONS = {"clip": ("gelu", "quick_gelu"), "siglip": ("gelu_pytorch_tanh",)}
"""Activations that are built here, of kinds that may have another than gelu."""
KINDS = (*DEFAULTS, "clip_vision_model", "siglip_vision_model")
SHAPE = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}


def folder_card(folder: Path) -> EncoderCard:
    """Return the card of a folder with ``config.json`` and weights.

    Raises:
        PathPluginsError: no ``config.json``, or one of a model that cannot be built here.
    """
    config_path = folder / "config.json"
    if not config_path.is_file():
        raise PathPluginsError(f"--encoder {folder}: no config.json in it; pass a folder downloaded from the hub")
    try:
        return _card(folder, read_json(config_path), config_path)
    except PathPluginsError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise PathPluginsError(
            f"{folder}: config.json or preprocessor_config.json has a value of another kind than such files have "
            f"({type(error).__name__}: {error}); download them again"
        ) from error


def _card(folder: Path, config: dict[str, Any], config_path: Path) -> EncoderCard:
    torchscript = config.get("architecture") == "torchscript"
    names = (TORCHSCRIPT,) if torchscript else WEIGHT_FILES
    common: dict[str, Any] = {
        "name": folder.resolve().name,
        "weights": next((folder / name for name in names if (folder / name).is_file()), None),
        "source": str(folder),
        "checked": "config.json of the folder",
        "licence": Licence(shown="see its source"),
        "local_only": True,
    }
    if config.get("model_type") in KINDS:
        built = _transformers(config, config_path)
        preprocess = read_processor(folder / "preprocessor_config.json")
        if "positions" in built:  # they are resized to the pictures, as Transformers does
            built["timm_kwargs"]["img_size"] = preprocess.crop_px
        return EncoderCard(**common, **built, preprocess=preprocess, precision="float32")
    if "architecture" not in config:
        raise PathPluginsError(
            f"{config_path}: names no timm 'architecture' and no model_type of Transformers that is known here, only "
            f"{sorted(config)}; pass the timm model as --encoder and the weights as --weights"
        )
    preprocess = _timm_preprocess(config.get("pretrained_cfg", config))
    if torchscript:
        if preprocess is None:
            raise PathPluginsError(
                f"{config_path}: lacks 'input_size'; a TorchScript model needs it, mean and std: add them"
            )
        return EncoderCard(**common, family="torchscript", preprocess=preprocess, precision="float32")
    kwargs = dict(config.get("model_args", {}))
    pool = config.get("pool", "model")
    if pool not in get_args(Pool):
        raise PathPluginsError(
            f"{config_path}: pool is {pool!r}, expected one of {', '.join(get_args(Pool))}; correct it"
        )
    architecture = config["architecture"]
    return EncoderCard(**common, architecture=architecture, timm_kwargs=kwargs, preprocess=preprocess, pool=pool)


def from_timm(config: dict[str, Any]) -> Preprocess:
    """Return the preprocessing of a timm configuration, where the crop is ``crop_pct`` of the resized side."""
    crop_px = int(config["input_size"][-1])
    return Preprocess(
        resize_px=int(crop_px / (config.get("crop_pct") or 1.0)),
        crop_px=crop_px,
        interpolation=config.get("interpolation", "bicubic"),
        mean=tuple(config.get("mean", IMAGENET_MEAN)),
        std=tuple(config.get("std", IMAGENET_STD)),
    )


def _timm_preprocess(config: dict[str, Any]) -> Preprocess | None:
    """Return the preprocessing that a timm folder records, or None."""
    return from_timm(config) if "input_size" in config else None


def _transformers(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return timm's architecture and arguments for a Transformers model of the same mathematics."""
    kind = config["model_type"].removesuffix("_vision_model")
    whole = {**SHAPE, **DEFAULTS[kind], **config, **config.get("vision_config", {})}
    activations = ACTIVATIONS.get(kind, ("gelu",))
    if whole["hidden_act"] not in activations:
        raise PathPluginsError(
            f"{path}: a {kind} with hidden_act {whole['hidden_act']!r} is not built here; wanted "
            f"{' or '.join(activations)}; export it to TorchScript or pass the timm model and --weights"
        )
    dino = kind.startswith("dinov2")
    kwargs: dict[str, Any] = {
        "img_size": whole["image_size"],
        "patch_size": whole["patch_size"],
        "embed_dim": whole["hidden_size"],
        "depth": whole["num_hidden_layers"],
        "num_heads": whole["num_attention_heads"],
        "mlp_ratio": whole["mlp_ratio"] if dino else whole["intermediate_size"] / whole["hidden_size"],
        "norm_eps": whole["layer_norm_eps"],
    }
    if kind == "clip":
        quick = "quickgelu_" if whole["hidden_act"] == "quick_gelu" else ""
        projected = config["model_type"] == "clip" or "CLIPVisionModelWithProjection" in config.get("architectures", ())
        kwargs["num_classes"] = config.get("projection_dim", 512) if projected else 0
        return {"architecture": f"vit_base_patch32_clip_{quick}224", "timm_kwargs": kwargs}
    if kind == "siglip":
        return {"architecture": "vit_base_patch16_siglip_224", "timm_kwargs": {**kwargs, "act_layer": "gelu_tanh"}}
    kwargs["qkv_bias"] = whole.get("qkv_bias", True)
    if not dino:
        return {"architecture": "vit_base_patch16_224", "timm_kwargs": kwargs}
    kwargs["init_values"] = 1.0  # layer scales, whose values the weights bring
    if whole.get("use_swiglu_ffn"):
        kwargs |= gated_layers(whole["hidden_size"], whole["mlp_ratio"])
    registers = whole.get("num_register_tokens", 0)
    if registers:
        kwargs |= {"reg_tokens": registers, "no_embed_class": True}
    positions = "timm" if registers else "plain"
    return {"architecture": "vit_base_patch16_224", "timm_kwargs": kwargs, "positions": positions}


def gated_layers(width: int, mlp_ratio: float) -> dict[str, Any]:
    """Return timm's arguments for DINOv2's gated layers: two thirds of the plain ones, in steps of 8."""
    hidden = (int(int(width * mlp_ratio) * 2 / 3) + 7) // 8 * 8
    return {"mlp_layer": "SwiGLUPacked", "act_layer": "silu", "mlp_ratio": (2 * hidden + 0.5) / width}


def read_processor(path: Path) -> Preprocess:
    """Read ``preprocessor_config.json``; no default would be right for every model.

    Raises:
        PathPluginsError: there is no such file, or it records no size, mean and standard deviation.
    """
    if not path.is_file():
        raise PathPluginsError(f"{path}: no such file; it says how patches are resized and normalised: download it too")
    config = read_json(path)
    missing = [key for key in ("size", "image_mean", "image_std") if key not in config]
    if missing or config.get("do_normalize") is False or config.get("do_rescale") is False:
        raise PathPluginsError(
            f"{path}: lacks {missing or 'normalisation'}; wanted size, image_mean and image_std: download it again"
        )
    resize_px = _side(config["size"])
    cropped = config.get("do_center_crop", False)
    return Preprocess(
        resize_px=resize_px,
        crop_px=_side(config["crop_size"]) if cropped else resize_px,
        interpolation=RESAMPLING[config.get("resample", 2)],
        mean=tuple(config["image_mean"]),
        std=tuple(config["image_std"]),
    )


def _side(size: int | dict[str, int]) -> int:
    """Return a side in pixels, from any of Transformers' spellings; patches are square."""
    return size if isinstance(size, int) else size.get("shortest_edge") or size["height"]
