"""What a composed model is made of."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.towers import TOWERS


@dataclass(frozen=True, kw_only=True)
class ComposeSpec:
    """Parts and options of one model directory; judges itself before anything is read."""

    llm: str
    """Directory or hub id of a causal LM in safetensors, whose weights are named ``model.*`` and ``lm_head.*``."""
    vision_tower: str | None = None
    """Weights of the tower (``slide_encoder.pth``, safetensors)."""
    vision_model_name: str = "gigapath"
    """Which tower the weights are for."""
    vision_config: dict[str, Any] = field(default_factory=dict)
    """Options of the tower; with ``random_vision_seed`` its size, with weights only what they do not say."""
    random_vision_seed: int | None = None
    """Seed of an untrained tower, for smoke tests. Never the fallback for missing weights."""
    mm_projector_type: str = "gamma_mlp"
    """Name of the connector."""
    projector_config: dict[str, Any] = field(default_factory=dict)
    """Options of the connector."""
    projector_path: str | None = None
    """Trained connector: ``mm_projector.bin``, safetensors, or the output directory of stage 2."""
    keep_gamma: bool = False
    """Keep the trained scale when the bounds differ from those it was trained with, instead of the trained logit."""
    vision_feature_select_mode: str = "random_sample"
    """Name of the token selector."""
    image_seq_length: int = 1536
    """Token budget of the selector, CLS not counted."""
    patches_per_wsi: int | None = 2048
    """Rows read from a bag, at most."""
    use_prefix_lm_mask: bool = False
    """Prompt and vision tokens attend in both directions."""
    coords_mpp: float | None = None
    """Microns per pixel of the coordinates of bags that do not say."""
    compat_coords_yx: bool = False
    """Give the tower (y, x), as published."""
    seed: int = 42
    """Of a fresh connector, of the rows drawn and of the random selector."""

    def __post_init__(self) -> None:
        named = (
            ("vision_model_name", self.vision_model_name, TOWERS, "vision tower"),
            ("mm_projector_type", self.mm_projector_type, CONNECTORS, "connector"),
            ("vision_feature_select_mode", self.vision_feature_select_mode, SELECTORS, "token selector"),
        )
        for key, name, registry, kind in named:
            if name not in registry:
                raise PathPluginsError(f"{key}: {unknown(kind, name, registry)}")
        if self.image_seq_length < 0:
            raise PathPluginsError(f"image_seq_length must be 0 (slide token only) or more, got {self.image_seq_length}")
        if self.patches_per_wsi is not None and self.patches_per_wsi < 1:
            raise PathPluginsError(f"patches_per_wsi must be at least 1, got {self.patches_per_wsi}")
        if (self.vision_tower is None) == (self.random_vision_seed is None):
            raise PathPluginsError(
                "vision_tower: name the weights of the vision tower (slide_encoder.pth of prov-gigapath), or ask for an "
                "untrained one with random_vision_seed (smoke tests only)"
            )
        for key, path in (("vision_tower", self.vision_tower), ("projector_path", self.projector_path)):
            if path is not None and not Path(path).exists():
                raise PathPluginsError(f"{key}: {path} does not exist; check the path or download the weights first")

    def fingerprint(self) -> str:
        """Stable id of every field and of the files they name."""
        files = [stamp(Path(path)) for path in (self.llm, self.vision_tower, self.projector_path) if path is not None]
        text = json.dumps([asdict(self), files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def stamp(path: Path) -> list[list[Any]]:
    """Name, size and modification time of a file or of the files of a directory: what tells a changed one."""
    members = sorted(path.iterdir()) if path.is_dir() else [path]
    return [[str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns] for p in members if p.is_file()]
