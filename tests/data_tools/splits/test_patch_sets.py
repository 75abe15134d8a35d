from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from patch_folders import write_pcam200, write_ptcga200

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.patch_sets import PatchSet, read_patch_set
from pathplugins.data.splits import Fold, Split
from pathplugins.data.splits.make import Plan
from pathplugins.data_tools.splits.patch_sets import divide_patch_set, groups_in, name_published


@pytest.fixture(scope="module")
def organs(tmp_path_factory: pytest.TempPathFactory) -> PatchSet:
    """Three organs, six slides each, three patches a slide."""
    folder = tmp_path_factory.mktemp("sets") / "PTCGA200"
    write_ptcga200(folder, ("brain", "colon", "lung"), slides=6, patches=3, size=(7, 5))
    return read_patch_set(folder)


def test_slides_stay_whole_and_every_part_has_every_class(organs: PatchSet) -> None:
    divided = divide_patch_set(organs, Plan(folds=3), by="slide", pattern=None, on_ungrouped="error")
    for fold in divided.split.folds:
        parts = fold.apply(organs)
        assert {part: len(inside) for part, inside in parts.items()} == {"train": 18, "valid": 18, "test": 18}
        assert all(len(set(inside.labels.tolist())) == 3 for inside in parts.values())
        slides = [set(inside.groups) for inside in parts.values()]
        assert sum(map(len, slides)) == len(set.union(*slides)) == 18
    assert divided.leaks() == []
    assert sorted(np.unique(divided.parts).tolist()) == [0, 1, 2]


def test_published_folds_are_found_by_base_name_and_their_leaks_named(organs: PatchSet) -> None:
    bases = [name.rpartition("/")[2] for name in organs.names]
    fold = Fold(number=0, train=bases[:-5], valid=bases[-5:-3], test=bases[-3:], base_names=True)
    published = Split(by="slide", seed=None, source="3fold.pickle", folds=(fold,))
    divided = name_published(organs, published, on_missing="error")
    assert list(divided.split.folds[0].test) == list(organs.names)[-3:]
    (leak,) = divided.leaks()
    assert (leak.parts, len(leak.groups)) == (("train", "valid"), 1)
    fewer = organs.take(np.arange(len(organs) - 1))
    with pytest.raises(PathPluginsError, match=r"1 of its 54 names are not in the set"):
        name_published(fewer, published, on_missing="error")
    assert (name_published(fewer, published, on_missing="skip").parts >= 0).all()


def test_pictures_of_unknown_slides_are_refused_or_left_out(tmp_path: Path) -> None:
    patches = read_patch_set(write_pcam200(tmp_path / "PCam200", cases=7, patches=2, size=(7, 5)))
    assert groups_in(patches, "patient") == [""] * len(patches)
    with pytest.raises(PathPluginsError, match="84 of 84 pictures do not tell their patient"):
        divide_patch_set(patches, Plan(), by="patient", pattern=None, on_ungrouped="skip")
    pattern = r"/(tumor_[a-z]+_\d+)/"
    divided = divide_patch_set(patches, Plan(folds=4), by="patient", pattern=pattern, on_ungrouped="error")
    assert divided.leaks() == []
    assert len(set(divided.groups)) == 21
    only = divide_patch_set(patches, Plan(), by="slide", pattern=r"/(tumor_train_\d+)/", on_ungrouped="skip")
    assert (only.parts < 0).sum() == 56
