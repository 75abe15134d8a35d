"""Options of representative patches: they reach the settings they stand for, and say what is wrong with them."""

from __future__ import annotations

import argparse
from typing import TypeVar

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.commands.options import read_options
from pathplugins.data_tools.commands.options.patch_choice import (
    CandidateOptions,
    ChoiceOptions,
    SentenceOptions,
    add_candidate_options,
    add_choice_options,
    add_sentence_options,
)
from pathplugins.data_tools.pathgen.select.grid import GridSpec
from pathplugins.data_tools.pathgen.select.ranking import ChoiceSpec

Kind = TypeVar("Kind")


def parsed(kind: type[Kind], *words: str) -> Kind:
    parser = argparse.ArgumentParser()
    for add in (add_sentence_options, add_candidate_options, add_choice_options):
        add(parser)
    return read_options(parser.parse_args(words), kind)


def test_without_options_the_settings_are_the_published_ones() -> None:
    assert parsed(CandidateOptions).spec() == GridSpec()
    assert parsed(ChoiceOptions).spec() == ChoiceSpec()
    assert parsed(SentenceOptions) == SentenceOptions()


def test_options_reach_the_settings() -> None:
    grid = parsed(CandidateOptions, "--patch-size", "96", "--mpp", "0.5", "--overlap", "3", "--min-tissue", "0.1")
    assert grid.spec() == GridSpec(patch_size=96, mpp=0.5, overlap=3, min_tissue=0.1)
    choice = parsed(ChoiceOptions, "--target", "7", "--shares", "1,0,0.5", "--clusters", "9", "--seed", "4")
    assert choice.spec() == ChoiceSpec(target=7, shares=(1.0, 0.0, 0.5), clusters=9, seed=4)
    assert parsed(ChoiceOptions, "--clusters", "published").spec().clusters == "published"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--shares", "a,b"), "wanted three numbers such as 1,1,2, got 'a,b'"),
        (("--clusters", "many"), "wanted auto, published or a number such as 20, got 'many'"),
    ],
)
def test_values_that_are_no_numbers(capfd: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        parsed(ChoiceOptions, *words)
    assert message in capfd.readouterr().err


@pytest.mark.parametrize(
    ("kind", "words", "message"),
    [
        (ChoiceOptions, ("--shares", "1,1"), "--shares must be three numbers"),
        (ChoiceOptions, ("--clusters", "0"), "--clusters must be auto, published or a number from 1, got 0"),
        (ChoiceOptions, ("--target", "0"), "--target must be at least 1 patch, got 0"),
        (CandidateOptions, ("--min-tissue", "1"), "--min-tissue must be a share from 0 to below 1"),
        (CandidateOptions, ("--patch-size", "9"), "--patch-size must be at least 32 pixels"),
    ],
)
def test_numbers_out_of_range(kind: type[CandidateOptions], words: tuple[str, ...], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        parsed(kind, *words).spec()
