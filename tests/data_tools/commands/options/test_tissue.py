import argparse

import pytest

from pathplugins.data_tools.commands.options import read_options
from pathplugins.data_tools.commands.options.tissue import TissueOptions, add_tissue_options
from pathplugins.data_tools.tissue.detect import TissueSpec


def options(*words: str) -> TissueOptions:
    parser = argparse.ArgumentParser()
    add_tissue_options(parser)
    return read_options(parser.parse_args(words), TissueOptions)


def test_defaults_are_those_of_the_spec() -> None:
    assert options().tissue() == TissueSpec()


def test_stain_and_pen() -> None:
    assert options("--stain", "trichrome", "--keep-pen").tissue() == TissueSpec(stain="trichrome", remove_pen=False)
    with pytest.raises(SystemExit):
        options("--stain", "giemsa")
