"""Tiling options: a preset, what was given, and the defaults, in this order of weakness."""

import argparse
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.commands.options import read_options
from pathplugins.data_tools.commands.options.tiling import TilingOptions, add_tiling_options
from pathplugins.data_tools.tiling.spec import TilingSpec


def parsed(*words: str) -> TilingOptions:
    parser = argparse.ArgumentParser()
    add_tiling_options(parser)
    return read_options(parser.parse_args(["a.svs", "--out", "work", *words]), TilingOptions)


def test_every_option_has_a_field_and_the_defaults_are_those_of_the_spec() -> None:
    options = parsed()
    assert (options.slides, options.out) == ([Path("a.svs")], Path("work"))
    assert options.spec() == TilingSpec()


def test_what_is_given_wins_over_the_preset() -> None:
    assert parsed("--preset", "conch").spec() == TilingSpec(patch_size=512, mpp=0.5)
    spec = parsed("--preset", "conch", "--patch-size", "300", "--magnification", "10", "--overlap", "20").spec()
    assert (spec.patch_size, spec.mpp, spec.overlap) == (300, 1.0, 20)


def test_the_rest_reaches_the_spec() -> None:
    spec = parsed("--keep-pen", "--min-tissue", "0.5", "--slide-mpp", "0.25", "--save-patches", "png").spec()
    assert not spec.tissue.remove_pen
    assert (spec.min_tissue, spec.slide_mpp, spec.save_patches) == (0.5, 0.25, "png")


def test_options_that_make_no_sense() -> None:
    with pytest.raises(PathPluginsError, match=r"--magnification must be above 0 \(e\.g\. 20\), got -4"):
        parsed("--magnification", "-4").spec()
    with pytest.raises(PathPluginsError, match="--mask-class Tumor is a class of a GeoJSON; say which with --mask"):
        parsed("--mask-class", "Tumor")
