"""Put an encoder and the head of its recipe together."""

from __future__ import annotations

from torch import nn

from pathplugins.classify.networks.byol import Byol
from pathplugins.classify.networks.classifier import Classifier
from pathplugins.classify.networks.encoder import Encoder
from pathplugins.classify.networks.segmenter import build_segmenter
from pathplugins.classify.options import ClassifyArguments, HeadName
from pathplugins.classify.recipes import RECIPES, default_head


def head_of(options: ClassifyArguments, encoder: Encoder) -> HeadName:
    """Return the head to build: the one asked for, or that of the recipe."""
    return options.head or default_head(RECIPES[options.recipe], tokens=encoder.tokens)


def build_network(options: ClassifyArguments, encoder: Encoder, classes: int) -> nn.Module:
    """Return the network to train; its ``encoder`` is ``encoder.model``, its ``head`` is new.

    Raises:
        PathPluginsError: a head that does not fit the encoder.
    """
    recipe = RECIPES[options.recipe]
    if recipe.task == "masks":
        return build_segmenter(encoder, head_of(options, encoder), classes)
    if recipe.self_supervised:
        return Byol(
            encoder.model,
            encoder.width,
            classes,
            hidden=options.projection_hidden,
            projection=options.projection_width,
            dropout=options.dropout,
        )
    return Classifier(encoder.model, encoder.width, classes, dropout=options.dropout, frozen=recipe.frozen)
