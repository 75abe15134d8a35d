"""Folds that share no patient, whatever the order of the table, and labels permuted by patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pathplugins.classify.probe.study import Study, permuted, study_of
from pathplugins.data.splits.make import TEST, Plan

PLAN = Plan(folds=5, valid=0.15, seed=3)


def study(order: np.ndarray, folder: Path, *, mixed: bool = False) -> Study:
    slides = [f"s{number:02}" for number in order]
    bags = [folder / slide for slide in slides]
    for bag in bags:
        bag.touch()
    groups = [f"p{number // 3}" for number in order]
    return study_of(
        slides, bags, groups, [("a", "b")[(number if mixed else number // 3) % 2] for number in order], PLAN
    )


def test_parts_share_no_patient_and_each_slide_is_tested_once(tmp_path: Path) -> None:
    made = study(np.arange(90), tmp_path)
    groups = np.array(made.groups)
    for fold in range(5):
        inside = [{*groups[made.part(fold, code)]} for code in range(3)]
        assert all(inside)
        assert sum(map(len, inside)) == len(set.union(*inside)) == 30
        assert all({*made.labels[made.part(fold, code)]} == {0, 1} for code in range(3))
    assert ((made.parts == TEST).sum(0) == 1).all()


def test_the_order_of_the_table_is_no_matter(tmp_path: Path) -> None:
    one, other = study(np.arange(90), tmp_path), study(np.random.default_rng(0).permutation(90), tmp_path)
    np.testing.assert_array_equal(one.parts, other.parts)
    assert one.fingerprint() == other.fingerprint()
    before = one.fingerprint()
    (tmp_path / "s07").write_text("more")
    assert one.fingerprint() != before


@pytest.mark.parametrize("mixed", [False, True])
def test_permuted_labels_are_the_same_labels_elsewhere(tmp_path: Path, mixed: bool) -> None:
    made = study(np.arange(90), tmp_path, mixed=mixed)
    other = permuted(made, PLAN)
    assert 20 < (other.labels != made.labels).sum() < 70
    assert other.labels.sum() == made.labels.sum()
    one_each = all(len({*other.labels[np.array(made.groups) == group]}) == 1 for group in {*made.groups})
    assert one_each is not mixed
    assert ((other.parts == TEST).sum(0) == 1).all()
    np.testing.assert_array_equal(permuted(made, PLAN).labels, other.labels)
