"""Patch encoders: which there are, as rows, and what each needs.

A name is a row of ``ENCODERS``, any model name of timm, or a folder downloaded from the Hugging Face hub.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import Registry, unknown

from .optional import need

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")  #: of a hub folder, the safe one first


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """From a patch to what the encoder takes."""

    resize_px: int
    """Side a patch is resized to."""
    crop_px: int
    """Side of the central crop of that: the encoder's input."""
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


@dataclass(frozen=True, kw_only=True)
class EncoderCard:
    """One encoder."""

    name: str
    architecture: str
    """timm's name of the model."""
    timm_kwargs: dict[str, Any] = field(default_factory=dict)
    width: int | None = None
    """Features per patch; None is whatever the model says."""
    preprocess: Preprocess | None = None
    """None is what timm records for the model."""
    hub_id: str | None = None
    """Where ``--download`` fetches weights; None is timm's own place for the architecture."""
    weights: Path | None = None
    """The weights that come with a local folder."""
    licence: str = "see timm"
    gated: bool = False
    source: str = "https://huggingface.co/timm"


CARDS = (
    EncoderCard(
        name="gigapath",
        architecture="vit_giant_patch14_dinov2",
        # config.json of the hub repository, typed out so that local weights need no network
        timm_kwargs={
            "img_size": 224,
            "patch_size": 16,
            "embed_dim": 1536,
            "depth": 40,
            "num_heads": 24,
            "init_values": 1e-5,
            "mlp_ratio": 5.33334,
            "global_pool": "token",
        },
        width=1536,
        preprocess=Preprocess(resize_px=256, crop_px=224),
        hub_id="prov-gigapath/prov-gigapath",
        licence="Apache-2.0, research use",
        gated=True,
        source="https://huggingface.co/prov-gigapath/prov-gigapath",
    ),
)
ENCODERS = Registry("encoder", {card.name: card for card in CARDS})


def find_card(name: str) -> EncoderCard:
    """The card of a registered name, a timm model or a local hub folder, in that order.

    Raises:
        PathPluginsError: none of the three; the message names the nearest.
    """
    if name in ENCODERS:
        return ENCODERS.get(name)
    timm, path = need("timm"), Path(name)
    if timm.is_model(name):
        return EncoderCard(name=name, architecture=name)
    if path.is_dir():
        return _folder_card(path)
    if path.is_file():
        raise PathPluginsError(f"--encoder {name} is a file of weights: pass --encoder <model> --weights {name}")
    known = [*ENCODERS, *timm.list_models()]
    first = unknown("encoder", name, known).split(" Known:")[0]  # timm knows more than a thousand
    raise PathPluginsError(f"{first} pathdata encoders lists ours; any timm model name or hub folder works too")


def _folder_card(folder: Path) -> EncoderCard:
    """The card of a folder with timm's ``config.json`` and weights, as ``hf download --local-dir`` leaves it."""
    config_path = folder / "config.json"
    if not config_path.is_file():
        raise PathPluginsError(f"--encoder {folder}: no config.json in it; pass a folder downloaded from the hub")
    config = json.loads(config_path.read_text(encoding="utf-8"))
    if "architecture" not in config:
        raise PathPluginsError(
            f"{config_path}: names no timm 'architecture', only {sorted(config)}; "
            "pass the timm model as --encoder and the weights as --weights"
        )
    weights = next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)
    return EncoderCard(
        name=folder.resolve().name,
        architecture=config["architecture"],
        timm_kwargs=dict(config.get("model_args", {})),
        preprocess=_folder_preprocess(config.get("pretrained_cfg", config)),
        weights=weights,
        source=str(folder),
    )


def _folder_preprocess(config: dict[str, Any]) -> Preprocess | None:
    """The preprocessing a hub folder records, if it does."""
    return from_timm(config) if "input_size" in config else None


def from_timm(config: dict[str, Any]) -> Preprocess:
    """Read timm's way of saying it: a crop that is ``crop_pct`` of the resized side."""
    crop_px = int(config["input_size"][-1])
    return Preprocess(
        resize_px=int(crop_px / (config.get("crop_pct") or 1.0)),
        crop_px=crop_px,
        interpolation=config.get("interpolation", "bicubic"),
        mean=tuple(config.get("mean", IMAGENET_MEAN)),
        std=tuple(config.get("std", IMAGENET_STD)),
    )


def encoder_table() -> list[tuple[str, ...]]:
    """One row of text per card, the heading first."""
    heading = ("name", "width", "input", "licence", "access", "source")
    rows = []
    for card in CARDS:
        sizes = f"{card.preprocess.resize_px} -> {card.preprocess.crop_px} px" if card.preprocess else "timm's"
        access = "gated" if card.gated else "open"
        rows.append((card.name, str(card.width or "model's"), sizes, card.licence, access, card.source))
    return [heading, *rows]
