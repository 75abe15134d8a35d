"""Width and encoder of the features that a tower without positions takes; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags.contract import BagContract
from pathplugins.published.encoder_names import encoder_key


@dataclass(kw_only=True)
class FeaturesConfig:
    """Features of ``features``: as they are, from any patch or slide encoder."""

    encoder: str | None = None
    """Patch encoder, by any of its names: bags that name another are refused, and its width is known."""
    feature_dim: int | None = None
    """D, their width; that of ``encoder`` when None."""
    layer_norm: bool = False
    """Bring every row to mean 0 and variance 1 first; nothing is learnt."""

    def __post_init__(self) -> None:
        known = () if self.encoder is None else _widths_of(self.encoder)
        if self.feature_dim is None and not known:
            said = "" if self.encoder is None else f" (nobody here knows the width of {self.encoder!r})"
            raise PathPluginsError(
                f"vision_config: give feature_dim, the width of the features in your bags{said}; pathdata inspect BAG "
                "shows it. Or name their encoder, one of `pathdata encoders`"
            )
        self.feature_dim = known[0] if self.feature_dim is None else self.feature_dim
        if not isinstance(self.feature_dim, int) or self.feature_dim < 1:
            raise PathPluginsError(f"vision_config: feature_dim must be a positive integer, got {self.feature_dim!r}")
        if known and self.feature_dim not in known:
            widths = " or ".join(map(str, known))
            raise PathPluginsError(
                f"vision_config: features of {self.encoder} are {widths} wide, and feature_dim is {self.feature_dim}; "
                "remove one of the two"
            )


@dataclass(kw_only=True)
class PatchMLPConfig(FeaturesConfig):
    """Features of ``patch_mlp`` and the size of its layers."""

    hidden_dim: int = 512
    """C, width of the tokens."""
    depth: int = 1
    """Residual blocks."""
    dropout: float = 0.0
    """In training only."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_dim < 1 or self.depth < 0 or not 0 <= self.dropout < 1:
            raise PathPluginsError(
                f"vision_config: hidden_dim must be positive, depth 0 or more, dropout in [0, 1); got "
                f"{self.hidden_dim}, {self.depth}, {self.dropout}"
            )


def features_expect(options: Mapping[str, Any]) -> BagContract:
    """Return what a tower of this kind expects of a bag: one width, and no positions."""
    encoder, width = options.get("encoder"), options.get("feature_dim")
    if width is None and encoder is not None:
        width = next(iter(_widths_of(encoder)), None)
    return BagContract(feature_dim=width, frame_mpp=None, grid=None, expects_encoder=encoder, slide_token=False)


def _widths_of(encoder: str) -> tuple[int, ...]:
    """Return the widths that features of an encoder have, ours first; none of an encoder that nobody here knows."""
    from pathplugins.published.encoders import CARDS
    from pathplugins.published.slide_models import WIDTHS

    widths = {**{name: (width,) for name, width in WIDTHS.items()}, **{card.name: card.widths for card in CARDS}}
    return widths.get(encoder_key(encoder), ())
