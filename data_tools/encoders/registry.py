"""Patch encoders by name.

A name is a row of ``ENCODERS``, any model name of timm, an ``hf-hub:`` id, or a folder downloaded from the hub.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import Registry, unknown

from ..optional import need
from .card import IMAGENET_MEAN, IMAGENET_STD, OPENAI_MEAN, OPENAI_STD, EncoderCard, Preprocess
from .cards import CARDS
from .hub_folder import folder_card, from_timm

__all__ = ["CARDS", "ENCODERS", "EncoderCard", "Preprocess", "encoder_records", "encoder_table", "find_card"]
__all__ += ["from_timm"]

NORMALISATIONS = {
    (IMAGENET_MEAN, IMAGENET_STD): "ImageNet",
    (OPENAI_MEAN, OPENAI_STD): "CLIP",
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)): "none",
}
ENCODERS = Registry("encoder", {card.name: card for card in CARDS})


def find_card(name: str) -> EncoderCard:
    """The card of a registered name, a hub id, a timm model or a local hub folder, in that order.

    Raises:
        PathPluginsError: none of them; the message names the nearest.
    """
    if name in ENCODERS:
        return ENCODERS.get(name)
    timm, path = need("timm"), Path(name)
    if name.startswith("hf-hub:"):
        hub_id = name.removeprefix("hf-hub:")
        return EncoderCard(name=name, architecture=name, hub_id=hub_id, source=f"https://huggingface.co/{hub_id}")
    if timm.is_model(name):
        return _timm_card(name)
    if path.is_dir():
        return folder_card(path)
    if path.is_file():
        raise PathPluginsError(f"--encoder {name} is a file of weights: pass --encoder <model> --weights {name}")
    known = [*ENCODERS, *timm.list_models()]
    first = unknown("encoder", name, known).split(" Known:")[0]  # timm knows more than a thousand
    raise PathPluginsError(f"{first} pathdata encoders lists ours; any timm model name or hub folder works too")


def _timm_card(name: str) -> EncoderCard:
    """The card of a timm model, with the repository its weights lie in, if there is one."""
    config = need("timm").get_pretrained_cfg(name, allow_unregistered=True)
    return EncoderCard(name=name, architecture=name, hub_id=config.hf_hub_id if config else None)


def encoder_table() -> list[tuple[str, ...]]:
    """One row of text per card, the heading first; the last column is the longest."""
    heading = ("name", "width", "input", "normalisation", "precision", "licence", "access", "source")
    rows = [
        (
            card.name,
            str(card.width or "model's"),
            _input(card.preprocess),
            _normalisation(card.preprocess),
            card.precision,
            card.licence,
            _access(card),
            card.source,
        )
        for card in CARDS
    ]
    return [heading, *rows]


def encoder_records() -> list[dict[str, Any]]:
    """All that the cards say, as plain values."""
    return [{**asdict(card), "access": _access(card)} for card in CARDS]


def _input(preprocess: Preprocess | None) -> str:
    if preprocess is None:
        return "timm's"
    resized = f"{preprocess.resize_px} -> " if preprocess.resize_px != preprocess.crop_px else ""
    return f"{resized}{preprocess.crop_px} px"


def _normalisation(preprocess: Preprocess | None) -> str:
    return "timm's" if preprocess is None else NORMALISATIONS.get((preprocess.mean, preprocess.std), "its own")


def _access(card: EncoderCard) -> str:
    return "own file" if card.local_only else "gated" if card.gated else "open"
