"""A mistyped or missing option of a config is said in our words, with the nearest right name."""

from __future__ import annotations

from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.xtuner.options import options_of


@options_of("dataset")
def make(model: str, *, image_folder: str = ".", limit: int | None = None) -> tuple[Any, ...]:
    return model, image_folder, limit


def test_what_is_right_arrives() -> None:
    assert make("m", image_folder="i") == ("m", "i", None)
    assert make(model="m", limit=3) == ("m", ".", 3)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(PathPluginsError) as raised:
        make(imag_folder="i", limits=2)
    said = str(raised.value)
    assert said.startswith("dataset: unknown option 'imag_folder'. Did you mean 'image_folder'?")
    assert "unknown option 'limits'. Did you mean 'limit'?" in said
    assert said.endswith("model is missing; correct the config")


def test_a_method_is_judged_without_self() -> None:
    class Part:
        @options_of("model")
        def __init__(self, llm: str) -> None:
            self.llm = llm

    assert Part("x").llm == "x"
    with pytest.raises(PathPluginsError, match=r"model: unknown option 'lm'. Did you mean 'llm'\? Known: llm; llm is"):
        Part(lm="x")
