"""Specification of a composed model: its parts and options, judged before anything is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from torch import nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import Registry, unknown
from pathplugins.data.bags import Sampling
from pathplugins.data.case_shares import Shares
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.custom_llava.config_keys import check_part
from pathplugins.models.custom_llava.joint_lora import resolve_joint_lora
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.towers import TOWERS
from pathplugins.published.preprocessing import ASPECT_RATIOS

SELECTOR_FILE = "token_selector.safetensors"
"""Weights of the token selector: in a model directory, and beside the connector of a training run."""


@dataclass(frozen=True, kw_only=True)
class ComposeSpec:
    """Parts and options of one model directory; judges itself before anything is read."""

    llm: str
    """Directory of a causal LM in safetensors, whose weights are named ``model.*`` and ``lm_head.*``."""
    vision_tower: str | None = None
    """Weights of the tower: ``slide_encoder.pth``, safetensors, or the directory of a CLIP, PLIP or patch encoder."""
    vision_model_name: str = "gigapath"
    """Which tower the weights are for: a slide encoder reads feature bags; CLIP, PLIP and timm's models read images."""
    vision_config: dict[str, Any] = field(default_factory=dict)
    """Options of the tower; with ``random_vision_seed`` its size, with weights only what they do not say."""
    random_vision_seed: int | None = None
    """Seed of an untrained tower, for smoke tests. Never the fallback for missing weights."""
    mm_projector_type: str = "gamma_mlp"
    """Name of the connector."""
    projector_config: dict[str, Any] = field(default_factory=dict)
    """Options of the connector."""
    projector_path: str | None = None
    """Trained connector: ``mm_projector.bin``, safetensors, XTuner's ``.pth``, or the output directory of stage 2."""
    keep_gamma: bool = False
    """Keep the trained scale when the bounds differ from those it was trained with, instead of the trained logit."""
    vision_feature_select_mode: str | None = None
    """Name of the token selector; ``random_sample`` for bags and ``none`` for images when None."""
    selector_config: dict[str, Any] = field(default_factory=dict)
    """Options of the token selector."""
    image_seq_length: int = 1536
    """Token budget of the selector, per slide or image, CLS not counted."""
    patches_per_wsi: int | None = 2048
    """Rows read from a bag, at most."""
    patches_sampling: str = "random"
    """Which rows of a larger bag: ``random``, ``linspace`` (evenly) or ``first``."""
    patches_per_case: int | None = None
    """Rows read of all bags of a sample, at most."""
    case_shares: str = "even"
    """How these are shared over the bags: ``even``, or ``in_order`` of the bags."""
    patches_block: int = 1
    """Rows drawn next to each other, for slow storage; 1 draws each by itself."""
    use_prefix_lm_mask: bool = False
    """Prompt and vision tokens attend in both directions."""
    joint_lora: dict[str, Any] | None = None
    """Low-rank weights beside layers of the language model, which are trained with it."""
    coords_mpp: float | None = None
    """Microns per pixel of the coordinates of bags that do not say."""
    compat_coords_yx: bool = False
    """Give the tower (y, x), as published."""
    allow_other_encoder: bool = False
    """Take bags whose features are of another patch encoder than the one the tower was trained on."""
    image_aspect_ratio: str = "anyres"
    """How an image becomes tiles: ``anyres`` (PA-LLaVA), ``pad`` (one tile, LLaVA-1.5) or ``square`` (its middle)."""
    fast_resize: bool = False
    """Resize images as tensors: several times faster, pixels differ a little from the published ones."""
    keep_float32: bool = False
    """Store tower, connector and selector in float32 rather than in the language model's type."""
    seed: int = 42
    """Seed of a fresh connector, of the rows drawn and of the random selector."""

    def __post_init__(self) -> None:
        check_options(vars(self))
        resolve_connector(self.mm_projector_type, self.projector_config)
        if self.selector_config and self.vision_feature_select_mode is None:
            raise PathPluginsError(
                f"selector_config {self.selector_config} is set but no selector is chosen: set "
                "vision_feature_select_mode"
            )
        if not Path(self.llm).is_dir():
            raise PathPluginsError(
                f"llm: {self.llm} is no directory; give the path of a downloaded language model ('pathplugins compose "
                "--llm' and llm_name_or_path take hub ids too)"
            )
        if self.starts_fresh:
            if self.random_vision_seed is not None:
                raise PathPluginsError(
                    f"random_vision_seed: {self.vision_model_name} needs no weights, so there are none to draw for a "
                    "smoke test; remove it (seed decides the first weights of what is trained)"
                )
        elif (self.vision_tower is None) == (self.random_vision_seed is None):
            raise PathPluginsError(
                "vision_tower: name the weights of the vision tower (slide_encoder.pth of prov-gigapath), or ask for "
                "an untrained one with random_vision_seed (smoke tests only)"
            )
        if self.keep_gamma and self.projector_path is None:
            raise PathPluginsError(
                "keep_gamma: there is no trained gamma without projector_path; remove it or give both"
            )
        for key, path in (("vision_tower", self.vision_tower), ("projector_path", self.projector_path)):
            if path is not None and not Path(path).exists():
                raise PathPluginsError(f"{key}: {path} does not exist; check the path or download the weights first")

    @property
    def starts_fresh(self) -> bool:
        """Whether the tower needs no weights and is given none."""
        return TOWERS.get(self.vision_model_name).starts_fresh and self.vision_tower is None

    def fingerprint(self) -> str:
        """Return a stable id of every field and of the files they name."""
        files = [stamp(members(Path(path))) for path in (self.llm, self.vision_tower, self.projector_path) if path]
        if self.projector_path and (beside := Path(self.projector_path).parent / SELECTOR_FILE).is_file():
            files.append(stamp([beside]))  # read with a connector's file
        fields = asdict(self)
        younger: dict[str, Any] = {"allow_other_encoder": False, "keep_float32": False}
        younger |= {"patches_sampling": "random", "joint_lora": None, "patches_per_case": None, "case_shares": "even"}
        for name, usual in younger.items():  # than the ids of directories in the cache
            if fields[name] == usual:
                del fields[name]
        return digest([fields, files])


_NAMED: dict[str, tuple[Registry, str]] = {
    "vision_model_name": (TOWERS, "vision tower"),
    "mm_projector_type": (CONNECTORS, "connector"),
    "vision_feature_select_mode": (SELECTORS, "token selector"),
}
_AT_LEAST = {
    "image_seq_length": (0, " (the slide token alone)"),
    **dict.fromkeys(("patches_per_wsi", "patches_per_case", "patches_block"), (1, "")),
}


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse names nobody knows and numbers out of range, among whichever options are given."""
    for key, (registry, kind) in _NAMED.items():
        if options.get(key) is not None and options[key] not in registry:
            raise PathPluginsError(f"{key}: {unknown(kind, str(options[key]), registry)}")
    if options.get("vision_feature_select_mode") is not None:
        resolve_selector(options["vision_feature_select_mode"], options.get("selector_config") or {})
    if options.get("joint_lora"):
        resolve_joint_lora(options["joint_lora"])
    for key, (least, meaning) in _AT_LEAST.items():
        if options.get(key) is not None and options[key] < least:
            raise PathPluginsError(f"{key} must be at least {least}{meaning}, got {options[key]}")
    for key, choices in (("patches_sampling", get_args(Sampling)), ("case_shares", get_args(Shares))):
        if options.get(key, choices[0]) not in choices:
            raise PathPluginsError(f"{key} must be one of {', '.join(choices)}, got {options[key]!r}")
    if options.get("image_aspect_ratio", "pad") not in ASPECT_RATIOS:
        said = f"{', '.join(ASPECT_RATIOS[:-1])} or {ASPECT_RATIOS[-1]}"
        raise PathPluginsError(f"image_aspect_ratio must be {said}, got {options['image_aspect_ratio']!r}")
    if options.get("coords_mpp") is not None and not 0 < options["coords_mpp"] < float("inf"):
        raise PathPluginsError(f"coords_mpp must be microns per pixel such as 0.5, got {options['coords_mpp']}")


def resolve_connector(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of a connector, defaults included, after the connector has judged them."""
    return _resolve("mm_projector_type", CONNECTORS, kind, options)


def resolve_selector(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of a token selector, defaults included, after the selector has judged them."""
    return _resolve("vision_feature_select_mode", SELECTORS, kind, options)


def _resolve(key: str, registry: Registry, kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    part = registry.get(kind)
    resolved = {**check_part(registry, kind, options, f"{key} {kind}"), **options}
    width = resolved.get("num_attention_heads", 1)  # any the heads divide: the tower's is not known here
    try:
        with torch.device("meta"):
            getattr(part(width, width, **resolved), "reset_parameters", lambda: None)()
    except (TypeError, ValueError) as error:
        raise PathPluginsError(f"{key} {kind} with {dict(options)}: {error}") from error
    return resolved


def tower_without_weights(vision_config: Mapping[str, Any]) -> nn.Module:
    """Build the tower of a model's ``vision_config`` without memory, to be asked what it reads and gives."""
    options = dict(vision_config)
    with torch.device("meta"):
        return TOWERS.get(options.pop("model_type")).build(options)


def members(path: Path) -> list[Path]:
    """Return the file itself, or the files that lie directly in a directory."""
    return sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]


def stamp(files: Iterable[Path]) -> list[list[Any]]:
    """Return name, size and modification time of files, by which a changed one is known."""
    return [[str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns] for p in files]


def digest(value: Any) -> str:
    """Return a stable id of anything JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
