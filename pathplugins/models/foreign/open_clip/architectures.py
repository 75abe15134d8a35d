"""OpenCLIP's architectures, and what is known of checkpoints whose own files do not say how to run them."""

from __future__ import annotations

from dataclasses import dataclass

QUICK_GELU, GELU = "quick_gelu", "gelu"
"""``x sigmoid(1.702 x)`` and ``x Phi(x)``, by Transformers' names. The weights look alike under both."""
ACTIVATIONS = (QUICK_GELU, GELU)
HEAD_WIDTHS = {1280: 80, 1408: 88, 1664: 104}
"""Width of a vision transformer -> of its attention heads, for those of OpenCLIP's model_configs where it is not 64."""
USUAL_HEAD_WIDTH = 64


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Shape of a vision transformer, all of which its weights tell."""

    width: int
    layers: int
    patch_size: int
    """Pixels."""
    image_size: int
    """Pixels, of a square image."""
    projection_dim: int

    def __str__(self) -> str:
        return (
            f"{self.layers} layers of width {self.width}, patches of {self.patch_size} px, images of {self.image_size} "
            f"px, features of {self.projection_dim}"
        )


ARCHITECTURES = {
    "ViT-B-32": Architecture(width=768, layers=12, patch_size=32, image_size=224, projection_dim=512),
    "ViT-B-16": Architecture(width=768, layers=12, patch_size=16, image_size=224, projection_dim=512),
    "ViT-L-14": Architecture(width=1024, layers=24, patch_size=14, image_size=224, projection_dim=768),
    "ViT-L-14-336": Architecture(width=1024, layers=24, patch_size=14, image_size=336, projection_dim=768),
    "ViT-H-14": Architecture(width=1280, layers=32, patch_size=14, image_size=224, projection_dim=1024),
}
"""By the names of OpenCLIP's model_configs (https://github.com/mlfoundations/open_clip), where the numbers are from."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a published file is to be run."""

    file: str
    """Its name; the file is taken for this one when it has the architecture too."""
    architecture: str
    activation: str | None
    """None: the sources contradict each other, so that the user has to say."""
    source: str
    note: str


RECIPES = (
    Recipe(
        file="pathgenclip.pt",
        architecture="ViT-B-16",
        activation=None,
        source="https://huggingface.co/jamessyx/PathGen-CLIP",
        note="its README calls create_model_and_transforms('ViT-B-16', pretrained=FILE), which runs gelu; its authors "
        "run the L model with quick_gelu, as the OpenAI weights both grew from, and nothing published says whether the "
        "B model was trained so; 'pathdata' takes "
        "quick_gelu for its pathgen-clip",
    ),
    Recipe(
        file="pathgen-clip.pt",
        architecture="ViT-B-16",
        activation=None,
        source="https://huggingface.co/jamessyx/PathGen-CLIP",
        note="the name its README gives pathgenclip.pt; gelu by that README, quick_gelu by the authors' code for "
        "the L model",
    ),
    Recipe(
        file="pathgen-clip-l.pt",
        architecture="ViT-L-14-336",
        activation=QUICK_GELU,
        source="https://huggingface.co/jamessyx/PathGen-CLIP-L",
        note="its authors' patch selection runs ViT-L-14-336 with force_quick_gelu; the 'ViT-B-16' of its README has "
        "other shapes",
    ),
)


def architecture_name(shape: Architecture) -> str | None:
    """OpenCLIP's name of a shape, None where it is none of those listed."""
    return next((name for name, known in ARCHITECTURES.items() if known == shape), None)


def recipe_of(file: str) -> Recipe | None:
    """What is known of a published file, by its exact name."""
    return next((recipe for recipe in RECIPES if recipe.file == file), None)
