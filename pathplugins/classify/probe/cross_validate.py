"""Run a probe fold by fold; a fold that is done stays done, so that a killed run goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pathplugins.classify.probe.bag_rows import BagRows, Moments
from pathplugins.classify.probe.linear import fit_means
from pathplugins.classify.probe.study import Study
from pathplugins.classify.probe.training import HEADS, logits_of, train_attention
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json, refuse_nonempty, remove_abandoned, write_json
from pathplugins.core.resume_record import every_difference, sentence
from pathplugins.data.bags import stable_seed
from pathplugins.data.splits.make import TEST, TRAIN, VALID

RECORD = "probe.json"
METHODS = ("mean", *HEADS)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a probe is trained."""

    method: Literal["mean", "abmil", "acmil"]
    epochs: int = 30
    rows: int = 512
    """Of a bag in one step of training; all rows are looked at in validation and test."""
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, value in (("--epochs", self.epochs), ("--rows", self.rows)):
            if value < 1:
                raise PathPluginsError(f"{name} is {value}; expected at least 1")

    def record(self) -> dict[str, Any]:
        """Return what decides the numbers."""
        trained = {} if self.method == "mean" else {"epochs": self.epochs, "rows": self.rows, "device": self.device}
        return {"method": self.method, "seed": self.seed, **trained}


def open_out(out: Path, record: dict[str, Any]) -> None:
    """Let ``out`` be new, empty or of a probe with the same record, and leave the record there.

    Raises:
        PathPluginsError: what it holds instead.
    """
    remove_abandoned(out / RECORD)
    if (out / RECORD).is_file():
        if changes := every_difference(read_json(out / RECORD), record):
            raise PathPluginsError(
                f"{out} holds a probe of other settings or data: {sentence(changes)}; name another --out, or remove it"
            )
        return
    refuse_nonempty(out)
    write_json(out / RECORD, record)


def cross_validate(
    study: Study, recipe: Recipe, rows: BagRows, moments: Moments, out: Path, *, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Train and test every fold that ``out`` does not hold yet; return the folds.

    Args:
        study: S slides in folds.
        recipe: The probe.
        rows: Features of the same slides.
        moments: Their means.
        out: Folder of the folds, a JSON file each.
        tell: Takes a line when a fold ends.

    Returns:
        Of each fold ``slides`` (names of the test part), ``probabilities`` (K numbers a slide), ``chosen`` (what the
        validation part has chosen: epoch or penalty).
    """
    folds = []
    for fold in range(len(study.parts)):
        path = out / f"fold_{fold}.json"
        if not path.is_file():
            write_json(path, _one_fold(study, recipe, rows, moments, fold))
            tell(f"{path}: done")
        folds.append(read_json(path))
    return folds


def _one_fold(study: Study, recipe: Recipe, rows: BagRows, moments: Moments, fold: int) -> dict[str, Any]:
    train, valid, test = (study.part(fold, code) for code in (TRAIN, VALID, TEST))
    classes = len(study.classes)
    if recipe.method == "mean":
        every, penalty = fit_means(moments.first, study.labels, classes, train, valid)
        probabilities, chosen = every[test], {"penalty": penalty}
    else:
        trained = train_attention(
            *(rows, moments, study.labels, classes, train, valid),
            method=recipe.method,
            epochs=recipe.epochs,
            seed=stable_seed(recipe.seed, fold),
            device=recipe.device,
        )
        probabilities = logits_of(trained.network, rows, test, recipe.device).softmax(1)
        chosen = {"epoch": trained.epoch}
    return {
        "chosen": chosen,
        "probabilities": probabilities.tolist(),
        "slides": [study.slides[at] for at in test.tolist()],
    }


def gathered(study: Study, folds: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities of every slide of the study, float64 [S, K], and its fold, int64 [S]."""
    place = {name: at for at, name in enumerate(study.slides)}
    probabilities = np.full((len(place), len(study.classes)), np.nan)
    fold_of = np.full(len(place), -1)
    for number, fold in enumerate(folds):
        at = [place[name] for name in fold["slides"]]
        probabilities[at], fold_of[at] = fold["probabilities"], number
    return probabilities, fold_of
