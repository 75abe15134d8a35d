"""The demo of labelled patches: its archive is whole, and every setting is one that the recipe or the trainer knows."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from pathplugins.commands.configs import folder
from pathplugins.commands.demo import patchtcga


def test_the_parts_of_the_archive_are_joined_without_the_held_out_slides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathplugins.data.patch_sets import read_patch_set
    from pathplugins.data_tools.cli import main

    monkeypatch.setattr(patchtcga, "SLIDES", 3)
    monkeypatch.setattr(patchtcga, "HELD_OUT", "-0002-")
    parts = patchtcga._archive(tmp_path)
    words = ["--md5", tmp_path / "checksums.txt", "--out", tmp_path / "datasets"]
    assert main(["patchtcga", "join", *map(str, [*parts, *words])]) == 0
    found = read_patch_set(tmp_path / "datasets" / "PTCGA200")
    assert len(found) == len(patchtcga.ORGANS) * 2 * 8
    assert not [name for name in found.names if "-0002-" in name]


def test_every_setting_of_the_runs_is_an_option(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    from pathplugins.classify.settings import read_settings

    for recipe, settings in patchtcga._training(tmp_path, tmp_path / "data", tmp_path / "split.json").values():
        words = [f"{key}={value}" for key, value in settings.items()]
        read = read_settings(folder("classify") / recipe, words)
        assert (read.options.image_size, read.options.centre_px, read.training["bf16"]) == (48, None, False)


@pytest.mark.host
def test_every_setting_of_the_model_is_a_key_of_ours_or_of_the_trainer(tmp_path: Path) -> None:
    hparams = pytest.importorskip("llamafactory.hparams")
    from pathplugins.llamafactory.arguments import PathModelArguments

    known = {item.name for item in fields(PathModelArguments)}
    for name in ("DataArguments", "FinetuningArguments", "TrainingArguments", "GeneratingArguments"):
        known |= {item.name for item in fields(getattr(hparams, name))}
    assert [key for key in patchtcga._answering(tmp_path, tmp_path / "eye") if key not in known] == []
