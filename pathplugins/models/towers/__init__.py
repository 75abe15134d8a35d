"""Vision towers: turn patches or images into vision tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pathplugins.core.registry import Registry
from pathplugins.data.bags.contract import BagContract
from pathplugins.models.towers.contract import Tower
from pathplugins.published.slide_models import NOT_TOWERS

_HERE = "pathplugins.models.towers"
_LONGNET = Tower(
    reads="bags",
    what="GigaPath's slide encoder: features of 1536 at their places; a token of 768 a patch, one of the slide",
    build_with=f"{_HERE}.build:longnet_vit",
    expects_with=f"{_HERE}.longnet_config:longnet_expects",
    weights_with=f"{_HERE}.longnet_checkpoint:read_longnet_vit",
)
_CLIP = Tower(
    reads="images",
    what="a CLIP of Transformers or OpenCLIP, its transformer; any size",
    build_with=f"{_HERE}.build:clip_vision",
    weights_with=f"{_HERE}.clip_checkpoint:read_clip",
)
_PLIP = Tower(
    reads="images",
    what="PLIP as PA-LLaVA reads it: 196 tokens of 768 a tile",
    build_with=f"{_HERE}.build:clip_vision",
    weights_with=f"{_HERE}.clip_checkpoint:read_plip",
)
_TIMM = Tower(
    reads="images",
    what="any eye below, any model of timm, or a folder of import-weights, classify train or the hub",
    build_with=f"{_HERE}.timm_vision:timm_vision",
    weights_with=f"{_HERE}.timm_checkpoint:read_timm",
)
_ANY_FEATURES = f"{_HERE}.features_config:features_expect"
_FEATURES = Tower(
    reads="bags",
    what="features of any width as they are; no weights, no positions, no slide token",
    build_with=f"{_HERE}.build:features",
    expects_with=_ANY_FEATURES,
    starts_fresh=True,
)
_PATCH_MLP = Tower(
    reads="bags",
    what="features of any width through layers that are trained, every patch by itself",
    build_with=f"{_HERE}.build:patch_mlp",
    expects_with=_ANY_FEATURES,
    starts_fresh=True,
)
_SLIDECHAT = Tower(
    reads="bags",
    what="SlideChat's layers on 512 wide features of CONCH, every patch by itself",
    build_with=f"{_HERE}.slidechat:build",
    expects_with=f"{_HERE}.slidechat_config:slidechat_expects",
    weights_with=f"{_HERE}.slidechat_checkpoint:read_slidechat",
    starts_fresh=True,
)
_ABMIL = Tower(
    reads="bags",
    what="slide encoders with gated attention: CHIEF, Feather, CLAM with one branch; no positions",
    build_with=f"{_HERE}.build:abmil",
    expects_with=f"{_HERE}.abmil_config:abmil_expects",
    weights_with=f"{_HERE}.abmil_checkpoint:read_abmil",
)

TOWERS = Registry(
    "vision tower",
    {
        "longnet_vit": _LONGNET,
        "gigapath": _LONGNET,
        "features": _FEATURES,
        "patch_mlp": _PATCH_MLP,
        "slidechat": _SLIDECHAT,
        "abmil": _ABMIL,
        "clip": _CLIP,
        "plip": _PLIP,
        "timm": _TIMM,
    },
    group="pathplugins.towers",
    elsewhere=NOT_TOWERS,
)
"""Name -> `Tower`: what it reads and expects, how it is built, how its weights are read.

Other packages add theirs as entry points of the group ``pathplugins.towers``.
"""


def reads_images(name: str) -> bool:
    """Return whether the tower called ``name`` reads images; the others read feature bags."""
    return TOWERS.get(name).reads == "images"


def tower_expects(vision_config: Mapping[str, Any]) -> BagContract:
    """Return what the tower of a model's ``vision_config`` expects of a feature bag, without building it."""
    options = dict(vision_config)
    return TOWERS.get(options.pop("model_type")).expects(options)
