"""Other tools' H5 given as bags: each is named, with the command that makes a bag of it."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import BagError, PathPluginsError
from pathplugins.data.bags import check_bag
from pathplugins.data_tools.bags.kinds import kind_of

XY = np.zeros((4, 2), int)


@pytest.mark.parametrize(
    ("datasets", "what", "next_step"),
    [
        ({"coords": XY}, "patch positions without features", "pathdata features WORK --encoder NAME"),
        ({"img": np.zeros((4, 8, 8, 3), "u1"), "coords": XY}, "patches as pictures (HEST", "pathdata run SLIDE"),
        ({"imgs": np.zeros((4, 8, 8, 3), "u1"), "coords": XY}, "patches as pictures (CLAM", "pathdata run SLIDE"),
        ({"features": np.ones((4, 3))}, "features without positions", "convert features IN --coords DIR"),
        ({"feats": np.ones((4, 3))}, "features without positions", "convert features IN --coords DIR"),
        ({"s1/feat": np.ones((4, 3)), "s1/coords": XY}, "for each slide", "pathdata convert features FILE --out DIR"),
        ({"X": np.ones(3), "obs/a": XY, "var/b": XY}, "AnnData", "leave it out"),
    ],
)
def test_it_says_what_it_is_and_what_to_type(tmp_path: Path, datasets: dict, what: str, next_step: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, data in datasets.items():
            file[name] = data
    with pytest.raises(BagError) as caught:
        check_bag(tmp_path / "a.h5")
    assert what in str(caught.value)
    assert next_step in str(caught.value)
    assert caught.value.reason == "no bag"


def test_the_data_tools_say_the_same(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["img"], file["coords"] = np.zeros((4, 8, 8, 3), "u1"), XY
    with pytest.raises(PathPluginsError, match=r"patches as pictures \(HEST"):
        kind_of(tmp_path / "a.h5")
