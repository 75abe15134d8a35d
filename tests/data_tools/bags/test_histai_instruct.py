"""HISTAI-Instruct's features: a slide per group, written as bags without positions."""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import BagError, PathPluginsError
from pathplugins.data.bags import inspect_bag
from pathplugins.data_tools.bags import kind_of
from pathplugins.data_tools.bags.histai_instruct import open_source, sources
from pathplugins.data_tools.commands import convert_features

F = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "train.h5", "w") as file:
        for number, name in enumerate(("b.1", "a")):
            file[f"embeddings/{name}/features"] = F[None] + number
            file[f"text_attributes/{name}"] = "{}"
    return tmp_path / "train.h5"


def test_a_slide_per_group(file: Path) -> None:
    assert kind_of(file) == "histai-instruct"
    found = sources(file, "histai-instruct")
    assert [source.slide_id for source in found] == ["a", "b.1"]
    with open_source(found[1]) as opened:
        np.testing.assert_array_equal(np.concatenate([*opened.blocks]), F)
        assert (opened.rows, opened.width, opened.dtype, opened.coords_xy) == (7, 3, "float32", None)


def test_links_are_not_followed(file: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "links.h5", "w") as links:
        links["embeddings/a"] = h5py.ExternalLink(str(file), "embeddings/a")
    (source,) = sources(tmp_path / "links.h5", "histai-instruct")
    with pytest.raises(PathPluginsError, match=r"is a link .*copy the data"), open_source(source):
        pass


def test_becomes_bags_without_positions(file: Path, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    convert_features.add_options(parser)
    command = [str(file), "--to", "bare", "--dtype", "float32", "--encoder", "prism", "--out", str(tmp_path / "bags")]
    assert convert_features.run(parser.parse_args(command)) == 0
    with h5py.File(tmp_path / "bags/b.1.h5") as bag:
        np.testing.assert_array_equal(bag["features"][()], F)
        assert bag.attrs["encoder"] == "prism"
        assert set(bag) == {"features", "features_checksums"}
    assert convert_features.run(parser.parse_args(command)) == 0  # exists already


def test_the_file_itself_is_no_bag(file: Path) -> None:
    with pytest.raises(BagError, match=r"many slides .*convert features FILE --to bare"):
        inspect_bag(file)
