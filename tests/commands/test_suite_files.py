"""The files of a suite: by their published names, never one of several."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pathplugins.commands.suite_files import suite_files
from pathplugins.core.errors import PathPluginsError
from pathplugins.published.suites import SUITES


def test_the_first_name_counts(tmp_path: Path) -> None:
    for name in ("test.csv", "test_clean.csv"):
        (tmp_path / name).touch()
    (tmp_path / "figures").mkdir()
    assert suite_files(SUITES["pmc-vqa"], tmp_path) == (tmp_path / "test_clean.csv", tmp_path / "figures")
    assert suite_files(SUITES["pmc-vqa"], tmp_path / "test.csv") == (tmp_path / "test.csv", tmp_path / "figures")


def test_a_folder_may_be_the_data(tmp_path: Path) -> None:
    assert suite_files(SUITES["class-folders"], tmp_path) == (tmp_path, None)


def test_a_test_set_in_parts(tmp_path: Path) -> None:
    """The folder is the data where no whole file is there."""
    suite = SUITES["wsi-bench"]
    with pytest.raises(PathPluginsError, match=r"wsi-bench \(WSI-Bench-test.jsonl or \*.jsonl or \*_test.json\)"):
        suite_files(suite, tmp_path)
    for name in ("Staging_test.json", "Staging_choice_test.json"):
        (tmp_path / name).touch()
    assert suite_files(suite, tmp_path) == (tmp_path, None)
    assert suite_files(SUITES["wsi-bench-choices"], tmp_path) == (tmp_path, None)
    (tmp_path / "WSI-Bench-test.jsonl").touch()
    assert suite_files(suite, tmp_path) == (tmp_path / "WSI-Bench-test.jsonl", None)


def test_nothing_and_too_much(tmp_path: Path) -> None:
    suite = dataclasses.replace(SUITES["slidebench"], files=("*TCGA*.csv",))
    with pytest.raises(PathPluginsError, match=r"holds no questions of slidebench \(\*TCGA\*.csv\); name the"):
        suite_files(suite, tmp_path)
    for name in ("b TCGA.csv", "a TCGA.csv"):
        (tmp_path / name).touch()
    with pytest.raises(PathPluginsError, match=r"holds a TCGA.csv, b TCGA.csv, each of which .*--data \S+a TCGA.csv"):
        suite_files(suite, tmp_path)
    with pytest.raises(PathPluginsError, match="no such file or folder"):
        suite_files(suite, tmp_path / "nowhere")
