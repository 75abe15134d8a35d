"""Tables of the published patch encoders: as text, as Markdown and as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pathplugins.published.encoders import CARDS
from pathplugins.published.encoders.ptcga import UNNORMALISED
from pathplugins.published.preprocessing import (
    CLIP_MEAN,
    CLIP_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Preprocess,
)

HUB = "https://huggingface.co/"
NORMALISATIONS = {
    (IMAGENET_MEAN, IMAGENET_STD): "ImageNet",
    (CLIP_MEAN, CLIP_STD): "CLIP",
    (UNNORMALISED.mean, UNNORMALISED.std): "none",
}


def encoder_table() -> list[tuple[str, ...]]:
    """Return one row of text per encoder, the heading first; the last column is the longest."""
    heading = ("name", "width", "input", "normalisation", "precision", "licence", "access", "source")
    rows = [
        (
            card.name,
            str(card.width or "model's"),
            _input(card.preprocess),
            _normalisation(card.preprocess),
            card.precision,
            card.licence.shown,
            card.access,
            card.source,
        )
        for card in CARDS
    ]
    return [heading, *rows]


def encoder_overview() -> list[tuple[str, ...]]:
    """Return one Markdown row per encoder, the heading first: what it is, what it expects, where it comes from."""
    heading = ("name", "encoder", "width", "patches it is meant for", "weights", "licence", "access", "checked")
    rows = [
        (
            f"`{card.name}`",
            card.what,
            str(card.width or "model's"),
            str(card.frame or "not stated"),
            f"[{card.hub_id}]({HUB}{card.hub_id})" if card.hub_id else f"[from the authors]({card.source})",
            card.licence.shown,
            card.access,
            card.checked,
        )
        for card in CARDS
    ]
    return [heading, *rows]


def encoder_records() -> list[dict[str, Any]]:
    """Return all that the cards say, as plain values; ``licence`` as the tables show it, its sources beside."""
    return [
        {
            **asdict(card),
            "licence": card.licence.shown,
            "licence_statements": [asdict(statement) for statement in card.licence.statements],
            "access": card.access,
        }
        for card in CARDS
    ]


def _input(preprocess: Preprocess | None) -> str:
    if preprocess is None:
        return "timm's"
    resized = f"{preprocess.resize_px} -> " if preprocess.resize_px != preprocess.crop_px else ""
    return f"{resized}{preprocess.crop_px} px"


def _normalisation(preprocess: Preprocess | None) -> str:
    return "timm's" if preprocess is None else NORMALISATIONS.get((preprocess.mean, preprocess.std), "its own")
