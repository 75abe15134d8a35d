"""Quilt-LLaVA: the two vision towers that are in play, and which weights and data are published."""

from __future__ import annotations

from dataclasses import dataclass

from pathplugins.published.open_clip import QUICK_GELU

CODE = "https://github.com/aldraus/quilt-llava"
PAPER = "https://arxiv.org/abs/2312.04746"
WEIGHTS = "wisdomik/Quilt-Llava-v1.5-7b"
"""Behind a form on its page."""


@dataclass(frozen=True, kw_only=True)
class QuiltTower:
    """A vision tower that a Quilt-LLaVA may have been trained on."""

    name: str
    hub_id: str
    width: int
    """Of its tokens, and of the input of ``mm_projector.0.weight``."""
    tokens: int
    """Patch tokens of an image."""
    activation: str | None
    """None where its files have to tell: those of QuiltNet may name two."""
    said_by: str


QUILTNET_B_32 = QuiltTower(
    name="QuiltNet-B-32",
    hub_id="wisdomik/QuiltNet-B-32",
    width=768,
    tokens=49,
    activation=None,
    said_by=f"scripts and README of {CODE}; its authors in issue 11",
)
CLIP_L_336 = QuiltTower(
    name="CLIP ViT-L/14-336",
    hub_id="openai/clip-vit-large-patch14-336",
    width=1024,
    tokens=576,
    activation=QUICK_GELU,
    said_by=f"the released {WEIGHTS}, by issue 31 of {CODE}",
)
TOWERS = {tower.width: tower for tower in (QUILTNET_B_32, CLIP_L_336)}
"""Width of the projector's input -> tower."""
