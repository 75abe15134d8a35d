"""Resolution options: one number for slides that record none, and a table of single slides."""

from __future__ import annotations

import argparse
from pathlib import Path

from pathplugins.data_tools.commands.options.resolution import add_mpp_csv_option, add_slide_mpp_option


def test_both_options_are_read_and_may_be_absent() -> None:
    parser = argparse.ArgumentParser()
    add_slide_mpp_option(parser)
    add_mpp_csv_option(parser)
    assert vars(parser.parse_args([])) == {"slide_mpp": None, "mpp_csv": None}
    given = parser.parse_args(["--slide-mpp", "0.25", "--mpp-csv", "t.csv"])
    assert (given.slide_mpp, given.mpp_csv) == (0.25, Path("t.csv"))
