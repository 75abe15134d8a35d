"""Folds one by one: resumed after a kill, refused with other settings, and at chance on permuted labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from probed_bags import write_bags

from pathplugins.classify.probe.bag_rows import BagRows
from pathplugins.classify.probe.cross_validate import RECORD, Recipe, cross_validate, gathered, open_out
from pathplugins.classify.probe.scores import score
from pathplugins.classify.probe.study import Study, permuted, study_of
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.splits.make import TEST, Plan


def drawn(folder: Path, plan: Plan, *, patients: int = 24) -> Study:
    table = write_bags(folder, patients, rows=10, width=4)
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    slides, groups, labels = zip(*rows, strict=True)
    return study_of(slides, [folder / "bags" / f"{slide}.h5" for slide in slides], groups, labels, plan)


def test_a_killed_run_goes_on_and_changes_nothing(tmp_path: Path) -> None:
    plan = Plan(folds=3, valid=0.2)
    study, recipe, told = drawn(tmp_path, plan), Recipe(method="acmil", epochs=2, rows=7), []
    rows = BagRows(study.bags, most=recipe.rows)
    moments = rows.moments()
    undisturbed = cross_validate(study, recipe, rows, moments, tmp_path / "one", tell=told.append)
    assert len(told) == 3

    def kill(line: str) -> None:
        if "fold_1" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cross_validate(study, recipe, rows, moments, tmp_path / "other", tell=kill)
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["fold_0.json", "fold_1.json"]
    told.clear()
    assert cross_validate(study, recipe, rows, moments, tmp_path / "other", tell=told.append) == undisturbed
    assert told == [f"{tmp_path / 'other' / 'fold_2.json'}: done"]
    probabilities, fold_of = gathered(study, undisturbed)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-9)
    assert all((fold_of[study.part(fold, TEST)] == fold).all() for fold in range(3))


def test_permuted_labels_give_chance(tmp_path: Path) -> None:
    areas = []
    study = drawn(tmp_path, Plan(folds=3, valid=0.2), patients=60)
    rows = BagRows(study.bags, most=9)
    moments = rows.moments()
    for seed in range(8):
        chance = permuted(study, Plan(folds=3, valid=0.2, seed=seed))
        folds = cross_validate(chance, Recipe(method="mean"), rows, moments, tmp_path / str(seed), tell=str)
        probabilities, _ = gathered(chance, folds)
        areas.append(score(chance.labels, probabilities, chance.classes, chance.groups).metrics["auroc"].value)
    assert np.mean(areas) == pytest.approx(0.5, abs=0.1)


def test_a_folder_takes_one_probe(tmp_path: Path) -> None:
    out = tmp_path / "out"
    record = Recipe(method="abmil").record()
    open_out(out, record)
    open_out(out, record)
    with pytest.raises(PathPluginsError, match="of other settings or data: method was abmil, is acmil"):
        open_out(out, Recipe(method="acmil").record())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(PathPluginsError, match="is not an empty directory"):
        open_out(tmp_path / "mine", record)
    assert [path.name for path in out.iterdir()] == [RECORD]


def test_what_the_mean_does_not_ask_is_not_recorded() -> None:
    assert Recipe(method="mean", epochs=3).record() == Recipe(method="mean", device="cuda").record()
    with pytest.raises(PathPluginsError, match="--epochs is 0"):
        Recipe(method="mean", epochs=0)
