"""A file is opened once while it stays as it is, and the least lately asked about leave first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from served_models import write_tiny_bag

from pathplugins.commands.loading import LoadedModel, load_model
from pathplugins.commands.serve.opened_files import OpenedFiles


@pytest.fixture(scope="module")
def model(minded: Path) -> LoadedModel:
    return load_model(minded, device="cpu")


def test_what_was_asked_about_last_is_kept(model: LoadedModel, bags: Path) -> None:
    size = OpenedFiles(model, 0).get(bags / "bag_0.h5").nbytes
    files = OpenedFiles(model, 2 * size)
    one, two, three = (bags / f"bag_{number}.h5" for number in (6, 7, 8))  # more patches than tokens: equally large
    first, second = files.get(one), files.get(two)
    assert first.nbytes == second.nbytes == size
    assert files.get(one) is first
    files.get(three)
    assert (len(files), files.nbytes) == (2, 2 * size)
    assert files.get(one) is first
    assert files.get(two) is not second


def test_a_file_written_anew_is_opened_anew(model: LoadedModel, tmp_path: Path) -> None:
    files, path = OpenedFiles(model, 2**20), tmp_path / "bag.h5"
    write_tiny_bag(path, 7, seed=1)
    first = files.get(path)
    write_tiny_bag(path, 7, seed=2)
    os.utime(path, ns=(1, 1))
    assert files.get(path) is not first


def test_a_file_above_the_limit_is_opened_and_not_kept(model: LoadedModel, bags: Path) -> None:
    files = OpenedFiles(model, 10)
    assert files.get(bags / "bag_0.h5").nbytes > 10
    assert (len(files), files.nbytes) == (0, 0)
