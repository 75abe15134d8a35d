"""Make a split: cross validation, or one or several draws with shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.splits.divide import divide
from pathplugins.data.splits.split import PARTS, By, Fold, Split, refuse_repeated

TRAIN, VALID, TEST = range(3)  #: numbers of ``PARTS``
_ONE_FOLD = {"valid": 0.1, "test": 0.2}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many folds, and how much of everything their parts get."""

    folds: int = 1
    valid: float | None = None
    """Share of all samples. None takes the test part of the next fold; one fold: 0.1."""
    test: float | None = None
    """Share of all samples. None is 1 / folds, so that each sample is tested once; one fold: 0.2."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.folds < 1 or self.seed < 0:
            raise PathPluginsError(f"folds is {self.folds} and seed {self.seed}; expected at least 1 and 0")
        for name, share in (("valid", self.valid), ("test", self.test)):
            if share is not None and not 0 <= share < 1:
                raise PathPluginsError(f"{name} is {share}; give a share of all samples from 0 to below 1, such as 0.1")
        if self.folds == 2 and self.valid is None:
            raise PathPluginsError("two folds leave nothing to train on beside test and valid; give valid, such as 0.1")
        test, valid = self.shares()
        if self.folds > 1 and test == 0:
            raise PathPluginsError(f"{self.folds} folds test nothing with test 0; leave test out, or give one fold")
        if self.folds * test > 1 + 1e-9:
            raise PathPluginsError(
                f"{self.folds} folds cannot each test another {test:g} of the samples; give test at most "
                f"{1 / self.folds:.3g}"
            )
        if test + valid >= 1 - 1e-9:
            raise PathPluginsError(f"test {test:g} and valid {valid:g} leave nothing to train on; give smaller shares")

    def shares(self) -> tuple[float, float]:
        """Return the shares of test and valid."""
        test = self.test
        if test is None:
            test = _ONE_FOLD["test"] if self.folds == 1 else 1 / self.folds
        if self.valid is not None:
            return test, self.valid
        return test, _ONE_FOLD["valid"] if self.folds == 1 else test


def assign(groups: Sequence[str], labels: Sequence[str], plan: Plan) -> np.ndarray:
    """Return the part of every sample in every fold: int8 [folds, N], numbers of ``PARTS``.

    The folds test different samples, also where they are draws with a share each.

    Args:
        groups: Group of each sample; none is divided.
        labels: Class of each sample, all alike where there are none.
        plan: Folds and shares.

    Raises:
        PathPluginsError: no samples, or too few groups to give each part one.
    """
    if not len(groups):
        raise PathPluginsError("there is nothing to divide; give at least one sample a part")
    test, valid = plan.shares()
    rest = max(1 - plan.folds * test, 0.0)
    rest = rest if rest > 1e-9 else 0.0
    block = divide(groups, labels, [*([test] * plan.folds), rest], [plan.seed])  # [N], folds: in no test part
    parts = np.full((plan.folds, len(groups)), TRAIN, np.int8)
    for fold in range(plan.folds):
        if test:
            parts[fold, block == fold] = TEST
        if plan.valid is None and plan.folds > 1:
            parts[fold, block == (fold + 1) % plan.folds] = VALID
        elif valid:
            left = np.flatnonzero(parts[fold] == TRAIN)
            share = valid / (1 - test)
            drawn = divide(
                [groups[at] for at in left], [labels[at] for at in left], [1 - share, share], [plan.seed, fold + 1]
            )
            parts[fold, left[drawn == 1]] = VALID
    _refuse_empty(parts, len({*groups}), plan)
    return parts


def _refuse_empty(parts: np.ndarray, groups: int, plan: Plan) -> None:
    """Refuse parts that are to have a share and got nothing: whoever scores them would score no sample."""
    test, valid = plan.shares()
    wanted = {TRAIN: True, VALID: valid > 0, TEST: test > 0}
    empty = [
        f"{PARTS[code]} of fold {fold}" if plan.folds > 1 else PARTS[code]
        for fold, row in enumerate(parts)
        for code in (TRAIN, VALID, TEST)
        if wanted[code] and not (row == code).any()
    ]
    if empty:
        raise PathPluginsError(
            f"{groups} groups are too few: no sample is left for {', '.join(empty[:5])}; give fewer folds, "
            "share 0 for a part that is not wanted, or more groups"
        )


def make_split(
    names: Sequence[str], groups: Sequence[str], labels: Sequence[str], plan: Plan, *, by: By, source: str
) -> Split:
    """Return the split of named samples; the names of a part are sorted.

    Args:
        names: Unique names.
        groups: Group of each.
        labels: Class of each, all alike where there are none.
        plan: Folds and shares.
        by: What the groups are.
        source: What is divided, e.g. the folder.

    Raises:
        PathPluginsError: names that repeat.
    """
    refuse_repeated(names, f"{source} has names more than once")
    order = sorted(range(len(names)), key=names.__getitem__)
    parts = assign(groups, labels, plan)[:, order]  # [folds, N]
    ordered = [names[at] for at in order]
    folds = tuple(
        Fold(
            number=number,
            source=source,
            **{part: tuple(ordered[at] for at in np.flatnonzero(row == code)) for code, part in enumerate(PARTS)},
        )
        for number, row in enumerate(parts)
    )
    return Split(by=by, seed=plan.seed, source=source, folds=folds)
