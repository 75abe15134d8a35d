"""The train, valid and test part of a patch set, checked before anything is trained."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathplugins.classify.options import ClassifyArguments
from pathplugins.classify.recipes import RECIPES
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.patch_sets import PatchSet, read_patch_set
from pathplugins.data.splits import read_split
from pathplugins.weights.compare import few

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Pictures by what they are for."""

    whole: PatchSet
    train: PatchSet
    valid: PatchSet | None
    """None where there are no such pictures; ``test`` likewise."""
    test: PatchSet | None

    def named(self) -> dict[str, PatchSet]:
        """Return the parts that have pictures."""
        return {name: part for name in ("train", "valid", "test") if (part := getattr(self, name)) is not None}

    def fingerprint(self) -> str:
        """Return a digest of the names and labels that are trained on, in their order."""
        digest = hashlib.sha256("\n".join(self.train.names).encode())
        digest.update(np.ascontiguousarray(self.train.labels, dtype="<i8").tobytes())
        return digest.hexdigest()[:16]

    def warn_of_seen(self, slides: Collection[str], encoder: str) -> None:
        """Warn of slides that the encoder was trained on and that are to be scored: the scores would be too good."""
        for name, part in self.named().items():
            shared = sorted({*slides} & {*part.groups} - {""})
            if shared and name != "train":
                log.warning(
                    "encoder %s was trained on %d slides of %s (%s), and scores on them say nothing of others; train "
                    "both by the same split",
                    *(encoder, len(shared), name, few(shared)),
                )


def read_parts(options: ClassifyArguments) -> Parts:
    """Read the patch set of a training, and divide it.

    Raises:
        PathPluginsError: no such data, no pictures to train on, labels of another kind than the recipe wants, classes
            that are never trained, or slides that lie in two parts: all of them in one report.
    """
    whole = read_patch_set(Path(options.data), options.kind)
    divided = _divided(whole, options)
    parts = {name: part for name, part in divided.items() if len(part)}
    problems = [*_kind_problems(whole, options)]
    if "train" not in parts:
        problems.append(f"no pictures to train on, but {_sizes(divided)}; set split, or name a set with a train part")
    elif not problems:
        problems += _label_problems(parts, whole.classes)
        problems += [] if options.allow_shared_slides else _shared_slides(parts)
    if problems:
        where = options.data + (f" divided by {options.split} fold {options.fold}" if options.split else "")
        raise PathPluginsError("\n".join((f"{where} cannot be trained on:", *problems)))
    return Parts(whole=whole, train=parts["train"], valid=parts.get("valid"), test=parts.get("test"))


def _divided(whole: PatchSet, options: ClassifyArguments) -> dict[str, PatchSet]:
    if options.split is not None:
        return read_split(Path(options.split)).fold(options.fold).apply(whole)
    there = {*whole.parts} - {""}
    return {name: whole.part(name) for name in sorted(there)} if there else {"train": whole}


def _kind_problems(whole: PatchSet, options: ClassifyArguments) -> list[str]:
    wanted = RECIPES[options.recipe].task
    if whole.task == wanted:
        return []
    fitting = "segment" if whole.task == "masks" else "supervised, finetune, linear or byol"
    return [f"its labels are {whole.task}, recipe {options.recipe} wants {wanted}; set recipe: {fitting}"]


def _label_problems(parts: Mapping[str, PatchSet], classes: tuple[str, ...]) -> list[str]:
    """Return what is wrong with the classes of the parts; masks are judged as they are read."""
    if parts["train"].task == "masks":
        return []
    ids = {name: {int(label) for label in np.unique(part.labels)} for name, part in parts.items()}
    trained = ids.pop("train")
    problems = []
    if len(trained) < 2:
        problems.append(f"train has one class alone, {few(classes[label] for label in trained)}; wanted two or more")
    for name, found in ids.items():
        if strange := [classes[label] for label in sorted(found - trained)]:
            problems.append(f"{name} has classes that train lacks: {few(strange)}; divide it again")
        if absent := [classes[label] for label in sorted(trained - found)]:
            log.warning("%s has no picture of %d classes: %s", name, len(absent), few(absent))
    return problems


def _shared_slides(parts: Mapping[str, PatchSet]) -> list[str]:
    slides = {name: set(part.groups) - {""} for name, part in parts.items()}  # "": of an unknown slide
    problems = []
    for one, other in itertools.combinations(slides, 2):
        if shared := sorted(slides[one] & slides[other]):
            problems.append(
                f"{one} and {other} share {len(shared)} slides: {few(shared)}; divide it by slide with `pathdata "
                "patchtcga split`, or set allow_shared_slides: true for a published split"
            )
    return problems


def _sizes(parts: Mapping[str, PatchSet]) -> str:
    return ", ".join(f"{len(part)} in {name}" for name, part in parts.items())
