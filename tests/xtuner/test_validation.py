"""``pathplugins validate`` on configs of XTuner: everything that is wrong, in one report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.host

WRONG = """
from mmengine.config import read_base

with read_base():
    from .pallava_smoke_align import *

model.update(lr_mult=dict(no_such_part=0.5))
train_dataloader.dataset.update(data_path="nowhere.json", format="llava")
"""


@pytest.fixture
def validate(
    folder: Path, environment: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[int, dict[str, str]]]:
    """Exit code and what is wrong, by check; nothing is loaded."""
    del environment
    monkeypatch.chdir(folder)
    monkeypatch.setattr("transformers.PreTrainedModel.from_pretrained", lambda *_, **__: pytest.fail("loads"))

    def validate(name: str) -> tuple[int, dict[str, str]]:
        from pathplugins.cli import main

        code = main(["validate", "--json", name])
        return code, {check["about"]: check["said"] for check in json.loads(capsys.readouterr().out)["checks"]}

    return validate


def test_a_config_that_trains_has_nothing_wrong(validate: Callable[..., Any]) -> None:
    code, said = validate("pallava_smoke_align.py")
    assert (code, said) == (0, dict.fromkeys(("model", "work_dir", "trained parts", "samples"), ""))


def test_names_and_samples_are_told_together(validate: Callable[..., Any], folder: Path) -> None:
    (folder / "wrong.py").write_text(WRONG)
    code, said = validate("wrong.py")
    assert code == 1
    assert "no_such_part" in said["trained parts"]
    assert "nowhere.json" in said["samples"]
    (folder / "wrong.py").write_text(
        WRONG.replace("lr_mult=dict(no_such_part=0.5)", 'pretrained_pth="iter_9.pth", fast=1')
    )
    _, said = validate("wrong.py")
    assert "unknown options fast" in said["trained parts"]


def test_overrides_are_of_the_other_trainer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pathplugins.cli import main

    assert main(["validate", str(folder / "pallava_smoke_align.py"), "a=1"]) == 2
    assert "overrides are LLaMA-Factory's" in capsys.readouterr().err
