"""Prompts in files: the built-in ones, one's own, and their slots."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.captioning.stages import BUILT_IN, Stage, check_slots, read_stages

PUBLISHED = (
    "This is a microscopic image of cells or tissues. Please first describe the morphological characteristics of the "
    "cells or tissues in the image, and then supplement and correct it according to the additional description "
    "provided, but only include features that are observable in the image.\n\n"
    "Be aware that some details in the additional description might not be present or identifiable in the image. Focus "
    "solely on the characteristics of the cells or tissues. Do not mention you have additional description such as "
    "'considering the additional description', 'based on the given description'. Do not ask for other information or "
    "give unrelated response.\n\n"
    "Additional description: {description}"
)


def test_the_published_prompt_is_word_for_word() -> None:
    (stage,) = read_stages(["describe_published"])
    text = "Nests of cells; {description} is no slot here."
    assert stage.prompt({"description": text}) == PUBLISHED.replace("{description}", text)
    assert stage.needs() == ["description"]
    assert stage.image


def test_the_built_in_stages_chain() -> None:
    describe, revise, summarise = read_stages(["describe", "revise", "summarise"])
    assert [stage.image for stage in (describe, revise, summarise)] == [True, True, False]
    assert describe.needs() == []
    assert revise.needs() == summarise.needs() == ["description"]
    check_slots(read_stages(BUILT_IN), [])
    for stage in (describe, revise, summarise):
        prompt = stage.prompt({"description": "Nests of cells."})
        assert "Nests of cells." in prompt
        assert "{" not in prompt
        assert "\n?" not in prompt


def test_optional_lines_need_all_their_slots() -> None:
    stage = Stage(name="s", image=True, template='A.\n\n? {organ} of {project}\n\nB {"json": 1} {caption}')
    assert stage.prompt({"organ": "lung", "caption": "c"}) == 'A.\n\nB {"json": 1} c'
    assert stage.prompt({"organ": "lung", "project": "P", "caption": "c"}) == 'A.\n\nlung of P\n\nB {"json": 1} c'
    assert stage.needs() == ["caption"]
    assert stage.slots() == ["organ", "project", "caption"]
    (describe,) = read_stages(["describe"])
    assert "Organ" not in describe.prompt({})
    assert "Organ: lung." in describe.prompt({"organ": "lung"})


def test_a_prompt_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("Say {grade}.\n", encoding="utf-8")
    (stage,) = read_stages([f"mine={tmp_path / 'mine.txt'}"], ["mine"])
    assert (stage.name, stage.image, stage.prompt({"grade": "2"})) == ("mine", False, "Say 2.")
    check_slots([stage], ["image", "grade"])
    with pytest.raises(
        PathPluginsError, match=r"unknown slot \{grade\} in mine.*\{description\}.*\{wsi_id\}.*\{image\}"
    ):
        check_slots([stage], ["image"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["descibe"], "unknown prompt 'descibe'. Did you mean 'describe'?"),
        (["mine=nowhere.txt"], "prompt of stage mine cannot be read.*nowhere.txt"),
        (["a b=x.txt"], "stage 'a b' is no usable name"),
        (["describe", "describe"], "stage describe is named twice"),
    ],
)
def test_prompts_that_cannot_be_used(words: list[str], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        read_stages(words)


def test_who_gets_no_image_must_be_there() -> None:
    assert not read_stages(["describe"], ["describe"])[0].image
    assert read_stages(["summarise"], [""])[0].image
    with pytest.raises(PathPluginsError, match=r"unknown stage in --text-only 'revize'\. Did you mean 'revise'\?"):
        read_stages(["describe", "revise"], ["revize"])


def test_an_empty_prompt_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text(" \n", encoding="utf-8")
    with pytest.raises(PathPluginsError, match="is empty; write the prompt of stage mine"):
        read_stages([f"mine={tmp_path / 'empty.txt'}"])
