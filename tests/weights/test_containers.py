"""Below which entries of a checkpoint the weights lie."""

from __future__ import annotations

from typing import Any

import pytest

from pathplugins.weights.containers import CONTAINERS, tensors_of, unwrapped
from pathplugins.weights.strided import Strided

TENSOR = Strided("float32", (2,), None, 0, (1,))  # type: ignore[arg-type]
STATE = {"a": TENSOR, "note": "no tensor", "b": TENSOR, 3: TENSOR}


@pytest.mark.parametrize(
    ("content", "container"),
    [
        (STATE, ""),
        *(({name: STATE, "epoch": 3}, name) for name in CONTAINERS),
        ({"state_dict": {"model": STATE}}, "state_dict.model"),
        ({"model": STATE, "iteration": TENSOR}, "model"),
        ({"state_dict": STATE, "module": STATE}, "module"),
        ({"model": {"name": "vit", "depth": 12}, "model_state_dict": STATE}, "model_state_dict"),
        ({"teacher": STATE, "student": STATE}, "teacher"),
    ],
    ids=str,
)
def test_weights_below_any_container(content: dict[str, Any], container: str) -> None:
    inner, path = unwrapped(content)
    assert (list(tensors_of(inner)), path) == (["a", "b"], container)


@pytest.mark.parametrize("content", [[TENSOR], {"model": {"name": "vit"}}, TENSOR, {}], ids=str)
def test_what_holds_none_stays_as_it_is(content: Any) -> None:
    assert unwrapped(content) == (content, "")
