"""Read ``config.json`` of a LLaVA checkpoint, and refuse models that a `custom_llava` cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json
from pathplugins.weights.names.llava import Layout

FAMILIES = {"llava": "llama", "llava_llama": "llama", "llava_mistral": "mistral"}
"""``model_type`` of the original -> of its language model."""
UNPADDED = "unpadded_vocab_size"
"""Our own entry in an exported ``config.json``: rows of the embedding before one was added for ``<image>``."""
_FOREIGN = ("mm_", "tune_mm_", "freeze_mm_", "unfreeze_mm_", "image_", "vision_", "tokenizer_")
_FOREIGN_NAMES = (
    *("use_mm_proj", "s2", "s2_scales"),
    *("_name_or_path", "auto_map", "ignore_index", "max_length", "text_config", "transformers_version"),
)
"""Entries of the original's ``config.json`` that are not of its language model: beginnings, and whole names."""

RATIOS = ("pad", "square")
"""What the original makes of an image that a `custom_llava` can: all of it on a square, or its middle."""
_FITS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "mm_projector_type": ("linear", ("mlp2x_gelu", "linear")),
    "mm_vision_select_feature": ("patch", ("patch",)),
    "mm_patch_merge_type": ("flat", ("flat",)),
    "mm_use_im_start_end": (False, (False,)),
    "s2": (False, (False,)),
}
"""Entry of the original's ``config.json`` -> its default there, and what a `custom_llava` can be."""


@dataclass(frozen=True, kw_only=True)
class LlavaSettings:
    """Settings that a checkpoint records."""

    layout: Layout
    """Whose names its weights have."""
    text: dict[str, Any]
    """``config.json`` of the language model alone."""
    connector: str
    """Our name of it."""
    select_layer: int
    """Hidden state of the vision tower that is read."""
    image_aspect_ratio: str = "pad"
    """How an image becomes a square: ``pad`` or ``square``."""
    tower_name: str | None = None
    """Directory or hub id of the vision tower, as the original has it."""
    tower_trained: bool = False
    """The original's tower was trained along: then the weights in the checkpoint count, not those of `tower_name`."""
    vision: dict[str, Any] | None = None
    """Configuration of the vision tower, which Transformers' layout has."""
    vocabulary: int | None = None
    """Rows of the embedding that are the language model's own, where some were added; None: all."""


def is_llava(folder: Path) -> bool:
    """Return whether a directory says it is a LLaVA, of either layout."""
    path = folder / "config.json"
    return path.is_file() and _layout(read_json(path)) is not None


def read_settings(folder: Path, *, image_aspect_ratio: str | None = None) -> LlavaSettings:
    """Read ``config.json``; everything that does not fit is in one error.

    Args:
        folder: of the checkpoint.
        image_aspect_ratio: ``pad`` or ``square``, where the checkpoint does not say how images become square, or
            other than it says.
    """
    config = read_json(folder / "config.json")
    layout = _layout(config)
    if layout is None:
        raise CheckpointError(
            f"{folder}: config.json says model_type {config.get('model_type')!r}; wanted {', '.join(FAMILIES)} with "
            "mm_vision_tower, or Transformers' llava with text_config and vision_config"
        )
    settings, problems = (_original if layout == "llava" else _transformers)(folder, config, image_aspect_ratio)
    if problems:
        raise CheckpointError(f"{folder} does not fit custom_llava: {'; '.join(problems)}")
    return settings


def _layout(config: dict[str, Any]) -> Layout | None:
    if "mm_vision_tower" in config and config.get("model_type") in FAMILIES:
        return "llava"
    if config.get("model_type") == "llava" and {"text_config", "vision_config"} <= config.keys():
        return "hf-llava"
    return None


def _original(folder: Path, config: dict[str, Any], ratio: str | None) -> tuple[LlavaSettings, list[str]]:
    """Read the settings of haotian-liu/LLaVA; absent ones have its defaults."""
    del folder
    said = {name: config.get(name, default) for name, (default, _) in _FITS.items()}
    ratio = ratio or config.get("image_aspect_ratio")  # null is written too
    problems = [
        f"{name} is {said[name]!r}, wanted {' or '.join(map(str, wanted))}"
        for name, (_, wanted) in _FITS.items()
        if said[name] not in wanted
    ]
    if ratio is None:
        problems.append(
            "it does not say its image_aspect_ratio: --image-aspect-ratio pad, or square if it was trained on the "
            "middle of images"
        )
    elif ratio not in RATIOS:
        problems.append(f"image_aspect_ratio is {ratio!r}, wanted {' or '.join(RATIOS)}")
    text = {
        name: value for name, value in config.items() if not name.startswith(_FOREIGN) and name not in _FOREIGN_NAMES
    }
    family = FAMILIES[config["model_type"]]
    text |= {"model_type": family, "architectures": [f"{family.capitalize()}ForCausalLM"]}
    settings = LlavaSettings(
        layout="llava",
        text=text,
        connector=said["mm_projector_type"],
        select_layer=config.get("mm_vision_select_layer", -2),
        image_aspect_ratio=ratio or "pad",
        tower_name=config["mm_vision_tower"],
        tower_trained=bool(config.get("unfreeze_mm_vision_tower")),
    )
    return settings, problems


def _transformers(folder: Path, config: dict[str, Any], ratio: str | None) -> tuple[LlavaSettings, list[str]]:
    """Read the settings of ``LlavaForConditionalGeneration``; absent ones have its defaults."""
    problems = []
    layer = config.get("vision_feature_layer", -2)
    if not isinstance(layer, int):
        problems.append(f"vision_feature_layer is {layer}, wanted one number")
    if (strategy := config.get("vision_feature_select_strategy", "default")) != "default":
        problems.append(f"vision_feature_select_strategy is {strategy!r}, wanted default (patch tokens alone)")
    if (act := config.get("projector_hidden_act", "gelu")) != "gelu":
        problems.append(f"projector_hidden_act is {act!r}, wanted gelu")
    if not config.get("multimodal_projector_bias", True):
        problems.append("its connector has no bias")
    if (kind := config["vision_config"].get("model_type")) != "clip_vision_model":
        problems.append(f"its vision tower is a {kind}, wanted a clip_vision_model")
    if not (ratio or _pads(folder)):
        problems.append(
            "its preprocessor_config.json crops images (do_pad is not true); give --image-aspect-ratio pad if it was "
            "trained with padding, as LLaVA v1.5 was, or square to crop them"
        )
    settings = LlavaSettings(
        layout="hf-llava",
        text=dict(config["text_config"]),
        connector="mlp2x_gelu",
        select_layer=layer,
        image_aspect_ratio=ratio or "pad",
        vision=dict(config["vision_config"]),
        vocabulary=config.get(UNPADDED),
    )
    return settings, problems


def _pads(folder: Path) -> bool:
    """Return whether Transformers' processor pads images to a square; else it crops them."""
    for name in ("preprocessor_config.json", "processor_config.json"):  # the latter from Transformers 5 on
        if (folder / name).is_file():
            said = read_json(folder / name)
            if said.get("image_processor", said).get("do_pad"):
                return True
    return False
