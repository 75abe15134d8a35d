"""Options of an evaluation: a suite sets format, task, categories and the length of answers."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pathplugins.commands.evaluation_options import EvaluationOptions, add_arguments
from pathplugins.core.errors import PathPluginsError


def options(*words: object) -> EvaluationOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return EvaluationOptions.of(parser.parse_args(["model", "--out", "out", *map(str, words)]))


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    (tmp_path / "SlideBench-VQA(TCGA).csv").touch()
    (tmp_path / "bags").mkdir()
    return tmp_path


def test_a_suite_sets_them(bench: Path) -> None:
    given = options("--suite", "slidebench", "--data", bench, "--option", "image_suffix=.h5", "--by", "Slide")
    assert given.test.data == bench / "SlideBench-VQA(TCGA).csv"
    assert given.test.image_folder == bench / "bags"
    assert (given.test.format, given.test.task, given.sampling.max_new_tokens) == ("slidebench", "choices", 500)
    assert given.test.format_options == ("published_prompt=true", "image_suffix=.h5")
    assert (given.test.by, given.test.wanted_by) == (("Slide",), ("Tumor", "Broad Category", "Narrow Category"))


def test_the_command_line_wins(bench: Path) -> None:
    given = options("--suite", "slidebench", "--data", bench, "--max-new-tokens", 7, "--image-folder", bench)
    assert (given.sampling.max_new_tokens, given.test.image_folder) == (7, bench)
    plain = options("--task", "vqa", "--data", "x.json")
    assert (plain.sampling.max_new_tokens, plain.test.format, plain.suite) == (128, "llava", None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--task is needed: vqa, choices, labels, report; or name a published test set with --suite"),
        (["--suite", "slidebench", "--task", "vqa"], "--suite slidebench sets --task choices; leave --task out, or"),
        (["--suite", "pmc-vqa", "--format", "llava"], "--suite pmc-vqa sets --format pmc_vqa; leave --format out, or"),
        (["--suite", "pmc-vqa"], "holds no questions of pmc-vqa"),
    ],
    ids=str,
)
def test_mistakes(bench: Path, words: list[str], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        options("--data", bench, *words)
