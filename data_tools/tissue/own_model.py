"""A tissue or artefact model of the user's own: the file, and the description beside it.

``model.onnx`` or ``model.pt`` (TorchScript) has ``model.json`` beside it. GrandQC's artefact model at 1.5 um/px:

    {"mpp": 1.5, "size": 512, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "output": "scores",
     "classes": ["none", "tissue", "fold", "dark spot", "pen", "edge or bubble", "out of focus", "background"],
     "tissue": ["tissue"], "artefacts": ["fold", "dark spot", "pen", "edge or bubble", "out of focus"]}

GrandQC's tissue model: ``"mpp": 10``, ``"classes": ["tissue", "background"]``. HEST's: ``"mpp": 1``, ``"classes":
["background", "tissue"]``; export it so that it returns the tensor ``out``.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.hashing import fed
from pathplugins.core.json_values import parse_json
from pathplugins.core.nearest import near_path

Output = Literal["scores", "labels", "logit", "probability"]
SUFFIXES = (".onnx", ".pt", ".pth", ".ts", ".torchscript")
BINARY = ("background", "tissue")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model takes and gives."""

    mpp: float
    """Microns per pixel of its input."""
    size: int
    """Side of its square input, pixels."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Taken off each of the colours red, green, blue, which are 0 to 1."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """What they are divided by then."""
    output: Output = "scores"
    """``scores`` of each class ``[B, C, h, w]``, the highest counts; ``labels``, the number of the class ``[B, h, w]``;
    ``logit`` or ``probability`` of tissue ``[B, 1, h, w]``, above 0 or 0.5."""
    classes: tuple[str, ...] = BINARY
    """Names in the order of the numbers."""
    tissue: tuple[str, ...] = ("tissue",)
    """Classes that are tissue."""
    artefacts: tuple[str, ...] = ()
    """Classes that are left out and counted; the rest is background."""

    def __post_init__(self) -> None:
        for wrong in (
            not (math.isfinite(self.mpp) and self.mpp > 0) and f"mpp is above 0, got {self.mpp:g}",
            self.size < 16 and f"size is at least 16 pixels, got {self.size}",
            (len(self.mean), len(self.std)) != (3, 3) and "mean and std are three numbers each",
            not all(self.std) and "std has no zeros",
            self.output not in get_args(Output) and f"output is one of {get_args(Output)}, got {self.output!r}",
            self.output in ("logit", "probability") and len(self.classes) != 2 and f"{self.output} has two classes",
            not self.tissue and "tissue names at least one class",
            len({*self.classes}) != len(self.classes) and "classes have a name each",
            (unknown := [name for name in (*self.tissue, *self.artefacts) if name not in self.classes])
            and f"tissue and artefacts are names of classes ({', '.join(self.classes)}), got {', '.join(unknown)}",
            {*self.tissue} & {*self.artefacts} and "no class is both tissue and an artefact",
        ):
            if wrong:
                raise PathPluginsError(str(wrong))


@dataclass(frozen=True, kw_only=True)
class OwnModel:
    """A model and its card."""

    path: Path
    sha256: str
    """Hash of the model and of its description, so that changed ones of the same name count as others."""
    card: ModelCard


def read_own_model(path: Path) -> OwnModel:
    """Read the description of a model; the model itself is loaded where it is used.

    Raises:
        PathPluginsError: no such file, of another kind, or a description that cannot be used.
    """
    if not path.is_file():
        raise PathPluginsError(f"--tissue-model {path}: no such file{near_path(path)}; give a TorchScript or ONNX file")
    if path.suffix.lower() not in SUFFIXES:
        raise PathPluginsError(f"--tissue-model {path}: wanted one of {' '.join(SUFFIXES)}; export it as ONNX")
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise PathPluginsError(
            f"--tissue-model {path}: no description {beside.name} beside it; write one such as "
            '{"mpp": 10, "size": 512, "classes": ["tissue", "background"], "tissue": ["tissue"]}'
        )
    text = beside.read_bytes()
    try:
        card = _card(parse_json(text))
    except (ValueError, TypeError, PathPluginsError) as error:
        raise PathPluginsError(f"{beside}: {error}; correct the description of {path.name}") from error
    digest = fed(hashlib.sha256(), path)
    digest.update(text)
    return OwnModel(path=path, sha256=digest.hexdigest(), card=card)


def _card(values: Any) -> ModelCard:
    if not isinstance(values, dict):
        raise PathPluginsError(f"wanted an object, got {type(values).__name__}")
    known = {field.name: field.default for field in fields(ModelCard)}
    unknown, missing = values.keys() - known.keys(), [k for k, d in known.items() if d is MISSING and k not in values]
    if unknown or missing:
        raise PathPluginsError(f"unknown: {sorted(unknown)}, missing: {missing}; known are {', '.join(known)}")
    return ModelCard(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
