"""Options judge themselves, all of them in one report."""

from __future__ import annotations

import re

import pytest

from pathplugins.classify.options import ClassifyArguments
from pathplugins.core.errors import PathPluginsError


def options(**values: object) -> ClassifyArguments:
    return ClassifyArguments(**{"recipe": "supervised", "data": "d", "encoder": "resnet18", **values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"recipe": "finetone"},
            "recipe: got the text 'finetone', wanted .*did you mean 'finetune'",
        ),
        ({"fold": "one"}, "fold: got the text 'one', wanted a whole number"),
        ({"dropout": 1.0}, re.escape("dropout: got 1.0, wanted from 0 to below 1")),
        ({"scale_learning_rate": 0}, "scale_learning_rate: got 0, wanted above 0"),
        ({"weights": "w.pt", "random_weights": 0}, "weights and random_weights exclude each other"),
        ({"head": "fpn"}, "head: got fpn with recipe supervised, wanted linear"),
        ({"recipe": "segment", "head": "linear"}, "head: got linear with recipe segment, wanted deeplabv3plus"),
        ({"recipe": "linear", "reset_bn": True}, "reset_bn: a frozen encoder never learns new statistics"),
    ],
)
def test_wrong_values(values: dict[str, object], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        options(**values)


def test_all_faults_are_in_one_report() -> None:
    with pytest.raises(PathPluginsError) as caught:
        options(dropout=-1.0, fold=-1, image_size=0)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["fold", "image_size", "dropout"]
