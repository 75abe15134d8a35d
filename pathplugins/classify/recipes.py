"""Kinds of training: what each one trains, and which augmentation and metrics go with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pathplugins.classify.options import HeadName, RecipeName

Task = Literal["classes", "masks"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One kind of training."""

    task: Task
    """What a label is: a class of the picture, or a mask."""
    views: int = 1
    """Augmented versions of a picture in a step."""
    frozen: bool = False
    """Whether the encoder keeps its weights and statistics."""
    self_supervised: bool = False
    """Whether the encoder learns without labels, from stronger augmentation."""


RECIPES: dict[RecipeName, Recipe] = {
    "supervised": Recipe(task="classes"),
    "finetune": Recipe(task="classes"),
    "linear": Recipe(task="classes", frozen=True),
    "byol": Recipe(task="classes", views=2, self_supervised=True),
    "segment": Recipe(task="masks"),
}


def default_head(recipe: Recipe, *, tokens: bool) -> HeadName:
    """Return the head of a recipe for an encoder of tokens or of feature maps."""
    if recipe.task == "classes":
        return "linear"
    return "tokens" if tokens else "deeplabv3plus"
