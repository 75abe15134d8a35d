"""Eyes: the rows of the encoder table as vision towers that read images, and the keys that name each; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.encoder_names import encoder_key
from pathplugins.published.encoders import CARDS
from pathplugins.published.pathgen_clip import BY_NAME

TRANSFORMERS = ("vit_", "beit3_")
"""Beginnings of timm's names of models whose tokens have one width and place in all layers."""
LAST_MAP = -1
"""Layer of the other models, whose earlier maps have more and narrower tokens; a row that is cut names its own last."""


@dataclass(frozen=True, kw_only=True)
class Eye:
    """One encoder as a vision tower."""

    name: str
    what: str
    tokens: int
    """Patch tokens of an image, class and register tokens not counted."""
    width: int
    """Of a token."""
    image_px: int
    """Side to which the whole image is resized."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    licence: str
    """As tables show it."""
    licence_told: str
    """Every source and its word."""
    access: str
    """open, gated, or own file."""
    fetch: str
    """Command that fetches the weights; empty where no hub has them."""
    keys: dict[str, Any]
    """Keys of a YAML, or of the ``parts`` of an XTuner config."""
    source: str
    checked: str
    note: str


def eyes() -> list[Eye]:
    """Return all eyes, in the order of the encoder table."""
    return [_eye(card) for card in CARDS]


def find_eye(name: str) -> Eye:
    """Return the eye of an encoder, by any of its names.

    Raises:
        PathPluginsError: no row has the name; the message names the nearest.
    """
    found = next((card for card in CARDS if card.name == encoder_key(name)), None)
    if found is None:
        raise PathPluginsError(unknown("eye", name, [card.name for card in CARDS]))
    return _eye(found)


def _eye(card: EncoderCard) -> Eye:
    """Return a row as an eye; its tests build the tower and compare."""
    pixels = card.preprocess
    return Eye(
        name=card.name,
        what=card.what,
        tokens=card.tokens,
        width=card.token_width,
        image_px=pixels.crop_px,
        mean=pixels.mean,
        std=pixels.std,
        interpolation=pixels.interpolation,
        licence=card.licence.shown,
        licence_told=card.licence.explained(),
        access=card.access,
        fetch="" if card.local_only else f"hf download {card.hub_id} {card.hub_file} --local-dir DIR",
        keys=_keys(card),
        source=card.source,
        checked=card.checked,
        note=card.note,
    )


def _keys(card: EncoderCard) -> dict[str, Any]:
    """Return the keys that make the row the eye of a model."""
    file = "FILE" if card.local_only else f"DIR/{card.hub_file}"
    if card.clip and BY_NAME[card.clip].activation is None:  # it is open: the user has to choose
        return {"vision_model_name": "clip", "vision_tower": file, "vision_config": {"hidden_act": "quick_gelu"}}
    last: dict[str, Any] = {}
    if not card.architecture.startswith(TRANSFORMERS):
        last["select_layer"] = card.timm_kwargs.get("out_indices", (LAST_MAP,))[-1]
    return {"vision_model_name": "timm", "vision_tower": file, "vision_config": {"encoder": card.name, **last}}
