"""PathGen-CLIP: the two published checkpoints, and who says how they are run."""

from __future__ import annotations

from dataclasses import dataclass

from pathplugins.published.licence import Licence, Statement
from pathplugins.published.open_clip import ACTIVATIONS, ARCHITECTURES, GELU, QUICK_GELU, QUICK_SUFFIX, Architecture

REPOSITORY = "https://github.com/PathFoundation/PathGen-1.6M"
"""The authors' page, with the newest README."""
CODE = "https://github.com/PathGen-1-6M/PathGen-1.6M"
"""Their code, read at 061f4d7."""
MODEL_README = f"Model/README.md of {CODE}"


@dataclass(frozen=True, kw_only=True)
class ClipCheckpoint:
    """A published OpenCLIP file."""

    name: str
    """Our name, in every command."""
    files: tuple[str, ...]
    """Names of the file, the published one first; a file is taken for this one if it has the architecture too."""
    architecture: str
    """OpenCLIP's name, without a word on the activation."""
    activation: str | None
    """None: the sources contradict each other, so that the user has to name it."""
    activation_statements: tuple[Statement, ...]
    hub_id: str
    gated: bool
    licence: Licence
    patch_px: int = 672
    """Side of the patches it was trained on, in level-0 pixels."""
    checked: str
    note: str

    @property
    def shape(self) -> Architecture:
        """Shape of the vision transformer."""
        return ARCHITECTURES[self.architecture]

    @property
    def source(self) -> str:
        """Address of the model card."""
        return f"https://huggingface.co/{self.hub_id}"

    @property
    def open_clip_name(self) -> str:
        """OpenCLIP's name with the activation in it, where that is known."""
        return f"{self.architecture}{QUICK_SUFFIX if self.activation == QUICK_GELU else ''}"

    def activation_told(self) -> str:
        """Return in one line what each source says of the activation."""
        return "; ".join(f"{statement.says}: {statement.by}" for statement in self.activation_statements)


CHECKPOINTS = (
    ClipCheckpoint(
        name="pathgen-clip",
        files=("pathgenclip.pt", "pathgen-clip.pt"),
        architecture="ViT-B-16",
        activation=None,
        activation_statements=(
            Statement(
                says=GELU,
                by="its model card calls create_model_and_transforms('ViT-B-16', pretrained=FILE), which runs gelu "
                "(open_clip#771)",
            ),
            Statement(
                says=QUICK_GELU,
                by="the authors' Zero-shot_classification code loads every size with force_quick_gelu, and OpenAI's "
                "CLIP, from which it grew, runs it",
            ),
        ),
        hub_id="jamessyx/PathGen-CLIP",
        gated=True,
        licence=Licence(
            shown="CC-BY-2.0",
            statements=(Statement(says="cc-by-2.0", by="model card"), Statement(says="cc-by-2.0", by=MODEL_README)),
        ),
        checked="model card (ViT-B/16); shapes by OpenCLIP; weights not run here",
        note="nothing published says which activation the B model was trained with; the model card calls its file "
        "pathgen-clip.pt",
    ),
    ClipCheckpoint(
        name="pathgen-clip-l",
        files=("pathgen-clip-l.pt",),
        architecture="ViT-L-14-336",
        activation=QUICK_GELU,
        activation_statements=(
            Statement(says=QUICK_GELU, by="the authors' Patch_selection code loads ViT-L-14-336 with force_quick_gelu"),
        ),
        hub_id="jamessyx/PathGen-CLIP-L",
        gated=False,
        licence=Licence(
            shown="CC-BY-NC-4.0",
            statements=(
                Statement(says="cc-by-nc-4.0", by="model card"),
                Statement(says="cc-by-2.0", by=f"{MODEL_README}, which names the B model's file only"),
            ),
        ),
        checked="the authors' code (ViT-L-14-336, force_quick_gelu); shapes by OpenCLIP; weights not run here",
        note="the vision tower of PathGen-LLaVA; the README says ViT-B-16, which has other shapes",
    ),
)
BY_NAME = {row.name: row for row in CHECKPOINTS}


def checkpoint_of_file(file: str) -> ClipCheckpoint | None:
    """Return the row of a published file, by its exact name."""
    return next((row for row in CHECKPOINTS if file in row.files), None)


def activation_question(subject: str, row: ClipCheckpoint | None = None) -> str:
    """Return the message that asks for the activation of ``subject``, with the word of every source in ``row``."""
    told = (
        f"What is known of {row.name}: {row.activation_told()}."
        if row
        else "OpenCLIP's ViT-B-16 runs gelu, its ViT-B-16-quickgelu and everything from OpenAI quick_gelu."
    )
    return (
        f"{subject}: the weights do not tell the activation, and under the wrong one features are quietly worse. "
        f"{told} Pass --activation {' or '.join(ACTIVATIONS)}, or vision_config: {{hidden_act: quick_gelu}} in a "
        "training configuration"
    )
