"""Connectors that see one vision token at a time.

Shapes: ``[..., C]`` (vision width) in, ``[..., H]`` (width of the language model) out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pathplugins.core.errors import CheckpointError


class LinearConnector(nn.Module):
    """One linear layer (LLaVA, arXiv:2304.08485)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(in_features, out_features)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[..., C]`` to ``[..., H]``."""
        return self.linear_1(tokens)


class MLPConnector(nn.Module):
    """Linear, GELU, linear (LLaVA-1.5, arXiv:2310.03744), by the key names of Transformers' LLaVA."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(in_features, out_features)
        self.linear_2 = nn.Linear(out_features, out_features)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[..., C]`` to ``[..., H]``."""
        return self.linear_2(nn.functional.gelu(self.linear_1(tokens)))


class GammaMLPConnector(nn.Module):
    """Two layers with LayerNorm and a learnt scale kept between two bounds (WSI-LLaVA, UCL).

    ``scale = scale_min + sigmoid(scale_logit) * (scale_max - scale_min)``. The published name of the logit holds the
    word that Transformers 4.48 renames when it loads a checkpoint, so here it is ``scale_logit``; `from_published` and
    `to_published` translate. The bounds live in the configuration, not in the weights: the same logit under other
    bounds is another scale.

    Args:
        in_features: C, width of the vision tokens.
        out_features: H, width of the language model.
        dropout: after the activation, while training.
        scale_min: lower bound of the scale, exclusive.
        scale_max: upper bound of the scale, exclusive.
        scale_init: the scale to start from; the middle of the bounds when None.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        dropout: float = 0.1,
        scale_min: float = 0.8,
        scale_max: float = 2.0,
        scale_init: float | None = None,
    ) -> None:
        super().__init__()
        if not scale_min < scale_max:
            raise ValueError(f"gamma_min must be below gamma_max, got {scale_min} and {scale_max}")
        self.scale_min, self.scale_max, self.scale_init = scale_min, scale_max, scale_init
        self.linear_1 = nn.Linear(in_features, out_features)
        self.ln1 = nn.LayerNorm(out_features)
        self.dropout = nn.Dropout(dropout)
        self.linear_2 = nn.Linear(out_features, out_features)
        self.ln2 = nn.LayerNorm(out_features)
        self.scale_logit = nn.Parameter(torch.zeros(1))

    def reset_parameters(self) -> None:
        """Start the scale at ``scale_init``. Only the bare parameter: the host initialises the layers."""
        middle = (self.scale_min + self.scale_max) / 2
        scale = middle if self.scale_init is None else self.scale_init
        nn.init.constant_(self.scale_logit, logit_of(scale, self.scale_min, self.scale_max))

    @property
    def scale(self) -> Tensor:
        """The factor in force, shape [1]."""
        return self.scale_min + torch.sigmoid(self.scale_logit) * (self.scale_max - self.scale_min)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[..., C]`` to ``[..., H]``."""
        x = self.dropout(nn.functional.gelu(self.ln1(self.linear_1(tokens))))  # [..., H]
        return self.ln2(self.linear_2(x)) * self.scale.to(x.dtype)


def logit_of(scale: float, low: float, high: float) -> float:
    """The logit that gives ``scale`` between ``low`` and ``high``; a ``ValueError`` when it lies outside."""
    if not low < scale < high:
        raise ValueError(f"a scale of {scale:.4g} cannot be had between gamma_min {low} and gamma_max {high}")
    share = (scale - low) / (high - low)
    return math.log(share / (1 - share))


_PUBLISHED = {"gamma_logit": "scale_logit"}


def from_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Connector weights by our names, from ``mm_projector.bin`` (WSI-LLaVA's, LLaVA's or one written by us).

    LLaVA's own file says ``model.mm_projector.{0,2}.*``; WSI-LLaVA's has bare names with ``gamma_logit``.
    """
    renamed = {}
    for key, value in state.items():
        for prefix in ("base_model.model.", "model.mm_projector.", "mm_projector.", "multi_modal_projector."):
            key = key[len(prefix) :] if key.startswith(prefix) else key
        head, _, rest = key.partition(".")
        head = {"0": "linear_1", "2": "linear_2"}.get(head, _PUBLISHED.get(head, head))
        if not rest and head in ("weight", "bias"):  # LLaVA's `linear` type is the bare layer
            head, rest = "linear_1", head
        renamed[f"{head}.{rest}" if rest else head] = value
    return renamed


def to_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `from_published` for the WSI-LLaVA file."""
    back = {ours: theirs for theirs, ours in _PUBLISHED.items()}
    return {back.get(key, key): value for key, value in state.items()}


def load_connector(connector: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load ``state`` (our names) into ``connector``; a `CheckpointError` names everything that does not fit."""
    wanted = {key: tuple(value.shape) for key, value in connector.state_dict().items()}
    got = {key: tuple(value.shape) for key, value in state.items()}
    if wanted != got:
        problems = [f"missing {key}" for key in sorted(wanted.keys() - got.keys())]
        problems += [f"unexpected {key}" for key in sorted(got.keys() - wanted.keys())]
        problems += [
            f"{key} is {got[key]}, wanted {wanted[key]}" for key in sorted(wanted.keys() & got.keys()) if got[key] != wanted[key]
        ]
        raise CheckpointError(
            f"{source} does not fit the connector {type(connector).__name__}: {'; '.join(problems)}; "
            "check mm_projector_type, mm_hidden_size and the language model it was trained with"
        )
    connector.load_state_dict(state)
