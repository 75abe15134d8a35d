"""The published recipes are read as they stand, with what is commented out, and say how to run them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pathplugins.classify.options import ClassifyArguments
from pathplugins.classify.settings import DEFAULTS, read_settings, settings_of, training_hints

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "pathplugins" / "classify" / "configs").glob("*.yaml"))
HEADER = ("Needs: ", "Writes:", "Next:  ", "Run:   ")
COMMENTED = re.compile(r"^# (\w+: .*)$", re.MULTILINE)


def test_each_kind_of_training_has_a_recipe() -> None:
    found = {read_settings(path).options.recipe for path in RECIPES}
    assert len(RECIPES) == 5
    assert found == {"supervised", "byol", "linear", "finetune", "segment"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_live_and_commented_options_are_read(path: Path) -> None:
    text = path.read_text()
    header, _, body = text.partition("\n\n")
    assert [mark for mark in HEADER if f"# {mark} " not in header] == []
    assert f"classify train {path.name}" in header
    settings = read_settings(path)
    more = yaml.safe_load("\n".join(COMMENTED.findall(body))) or {}
    both = settings_of({**yaml.safe_load(text), **more}, where=path.name)
    assert all({**vars(both.options), **both.training}[key] == value for key, value in more.items())
    assert settings.training["output_dir"].startswith("runs/")
    assert max(map(len, text.splitlines())) <= 120


def test_defaults_are_options_of_the_trainer() -> None:
    assert {*DEFAULTS} <= {*training_hints()}
    assert not {*training_hints()} & {*ClassifyArguments.__dataclass_fields__}
