"""A finished training run as a directory: an encoder directory with the trained head and the record of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from pathplugins import __version__
from pathplugins.classify.networks.build import build_network, head_of
from pathplugins.classify.networks.encoder import Encoder, build_encoder
from pathplugins.classify.options import ClassifyArguments
from pathplugins.classify.recipes import RECIPES, Task
from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json, replacing, write_json, write_text_whole
from pathplugins.core.nearest import near_path
from pathplugins.core.optional import need
from pathplugins.encoders.write_folder import write_encoder_folder
from pathplugins.published.preprocessing import Preprocess
from pathplugins.weights import open_weights
from pathplugins.weights.compare import mismatch

RECORD, HEAD = "classify.json", "head.safetensors"
NAMES, SLIDES = "training_names.txt", "training_slides.txt"
FORMAT = "pathplugins run 1"


@dataclass(frozen=True)
class Run:
    """A trained network and what it was trained for."""

    path: Path
    task: Task
    classes: tuple[str, ...]
    """Names of the classes, by id."""
    preprocess: Preprocess
    """Size, mean and standard deviation of the input."""
    centre_px: int | None
    """Central square of a patch that is resized to the input; None: the whole patch."""
    model: nn.Module
    """Takes normalised pixels ``[B, 3, S, S]``, gives logits ``[B, K]``, or ``[B, K, S, S]`` for masks; in evaluation
    mode, on the CPU."""
    record: Mapping[str, Any]
    """``classify.json``: recipe, data, split, scores, version."""

    @cached_property
    def names_of_training(self) -> frozenset[str]:
        """Names of the pictures it was trained on, as in ``PatchSet.names``."""
        return frozenset((self.path / NAMES).read_text(encoding="utf-8").splitlines())

    @cached_property
    def slides_of_training(self) -> frozenset[str]:
        """Slides of these pictures and of those that its encoder had been trained on, as in ``PatchSet.groups``."""
        return slides_of(self.path)


def write_run(
    out: Path,
    network: nn.Module,
    encoder: Encoder,
    options: ClassifyArguments,
    *,
    classes: Sequence[str],
    names: Sequence[str],
    slides: Sequence[str] = (),
    record: Mapping[str, Any],
) -> None:
    """Write a trained network into ``out``; ``classify.json`` comes last and says that the rest is whole.

    Args:
        out: the output directory of the training; checkpoints and logs in it stay.
        network: as `build_network` gives it, trained.
        encoder: what the network was built from.
        options: those of the training.
        classes: names of the classes, by id.
        names: pictures it was trained on.
        slides: those of these pictures, and of those that the encoder had been trained on; empty where unknown.
        record: further facts for ``classify.json``, in plain values.
    """
    torch_file = need("safetensors.torch")
    write_encoder_folder(
        out,
        architecture=encoder.architecture,
        model_args=encoder.model_args,
        state=network.encoder.state_dict(),
        preprocess=encoder.preprocess,
        origin={"recipe": options.recipe, "data": options.data, "start": encoder.origin},
    )
    head = {name: value.detach().cpu().contiguous() for name, value in network.head.state_dict().items()}
    with replacing(out / HEAD) as temporary:
        torch_file.save_file(head, temporary, metadata={"format": "pt"})
    write_text_whole(out / NAMES, "".join(f"{name}\n" for name in names))
    write_text_whole(out / SLIDES, "".join(f"{slide}\n" for slide in sorted({*slides} - {""})))
    write_json(
        out / RECORD,
        {
            **record,
            "format": FORMAT,
            "pathplugins": __version__,
            "recipe": options.recipe,
            "task": RECIPES[options.recipe].task,
            "classes": list(classes),
            "head": head_of(options, encoder),
            "image_size": encoder.preprocess.crop_px,
            "centre_px": options.centre_px,
        },
    )


def slides_of(path: Path) -> frozenset[str]:
    """Return the slides that the run in ``path`` was trained on; none where it is no run."""
    known = path / SLIDES
    return frozenset(known.read_text(encoding="utf-8").splitlines()) if known.is_file() else frozenset()


def load_run(path: Path) -> Run:
    """Read a run directory and build its network.

    Raises:
        PathPluginsError: no such directory, or a training that has not ended.
        CheckpointError: a head that is not that of the record.
    """
    if not (path / RECORD).is_file():
        ended = "its training has not ended: repeat its command, which resumes it"
        raise PathPluginsError(f"{path}: no {RECORD} there{near_path(path) if not path.is_dir() else f'; {ended}'}")
    record = read_json(path / RECORD)
    if record.get("format") != FORMAT:
        raise PathPluginsError(f"{path / RECORD}: format {record.get('format')!r}, wanted {FORMAT!r}; train it again")
    masks = record["task"] == "masks"
    options = ClassifyArguments(
        recipe="segment" if masks else "supervised",  # also of BYOL, whose watching classifier is the head
        data="",
        encoder=str(path),
        image_size=record["image_size"],
        head=record["head"],
    )
    encoder = build_encoder(options)
    network = build_network(options, encoder, len(record["classes"]))
    state = dict(open_weights(path / HEAD))
    if report := mismatch(network.head.state_dict(), state):
        raise CheckpointError(f"{path / HEAD}: not the head of {RECORD}: {report}; train the run again")
    network.head.load_state_dict(state)
    return Run(
        path=path,
        task=record["task"],
        classes=tuple(record["classes"]),
        preprocess=encoder.preprocess,
        centre_px=record["centre_px"],
        model=network.eval(),
        record=record,
    )
