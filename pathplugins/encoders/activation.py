"""The activation of CLIP encoders: as published, or as the user says where the publishers leave it open."""

from __future__ import annotations

from dataclasses import replace

from pathplugins.core.errors import PathPluginsError
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.published.open_clip import ACTIVATIONS, QUICK_GELU
from pathplugins.published.pathgen_clip import BY_NAME, activation_question

QUICK_IN_TIMM, PLAIN_IN_TIMM = "_clip_quickgelu_", "_clip_"
"""Parts of timm's names of the same model under quick_gelu and under gelu."""


def with_activation(card: EncoderCard, asked: str | None) -> EncoderCard:
    """Return the card with the architecture that runs the activation.

    Args:
        card: of any encoder.
        asked: ``quick_gelu``, ``gelu``, or None where the user says nothing; it wins over the published one.

    Raises:
        PathPluginsError: the activation is open and was not said, unknown, or said for an encoder that has no choice.
    """
    if not card.clip:
        if asked is not None:
            choices = ", ".join(BY_NAME)
            raise PathPluginsError(
                f"--activation {asked}: --encoder {card.name} has no choice of activation (only {choices} have): "
                "leave it out"
            )
        return card
    published = BY_NAME[card.clip]
    activation = asked or published.activation
    if activation is None:
        raise PathPluginsError(activation_question(f"--encoder {card.name}", published))
    if activation not in ACTIVATIONS:
        raise PathPluginsError(f"--activation {activation}: wanted {' or '.join(ACTIVATIONS)}")
    plain = card.architecture.replace(QUICK_IN_TIMM, PLAIN_IN_TIMM)
    name = plain.replace(PLAIN_IN_TIMM, QUICK_IN_TIMM) if activation == QUICK_GELU else plain
    return replace(card, architecture=name)
