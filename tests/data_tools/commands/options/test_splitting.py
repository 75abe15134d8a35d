from __future__ import annotations

import argparse

from pathplugins.data.splits.make import Plan
from pathplugins.data_tools.commands.options import read_options
from pathplugins.data_tools.commands.options.splitting import (
    GroupOptions,
    PlanOptions,
    add_group_options,
    add_plan_options,
)


def test_words_become_a_plan() -> None:
    parser = argparse.ArgumentParser()
    add_plan_options(parser)
    add_group_options(parser, column=True)
    args = parser.parse_args(["--folds", "3", "--valid", "0.02", "--seed", "5", "--by", "slide"])
    assert read_options(args, PlanOptions).plan() == Plan(folds=3, valid=0.02, seed=5)
    assert read_options(args, GroupOptions) == GroupOptions(by="slide")
