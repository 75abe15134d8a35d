"""``pathplugins import-weights ENCODER FILE``: what is said, and what the folder serves (T30 to T35)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pathplugins import cli
from pathplugins.core.errors import PathPluginsError
from pathplugins.encoders.registry import ENCODERS

timm = pytest.importorskip("timm")
SMALL = {"embed_dim": 48, "depth": 2, "num_heads": 3}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of a small MAE, whose card is small as well."""
    card = ENCODERS.get("ptcga200-mae")
    small = replace(card, architecture="vit_small_patch16_224", timm_kwargs=SMALL, width=48)
    monkeypatch.setitem(ENCODERS._targets, card.name, small)
    model = timm.create_model("vit_small_patch16_224", num_classes=0, **SMALL)
    beside = {"mask_token": torch.zeros(1, 1, 9), "decoder_pred.weight": torch.zeros(3, 9)}
    torch.save({"model": {**model.state_dict(), **beside}, "epoch": 3}, tmp_path / "ckpt.pth")
    return tmp_path / "ckpt.pth"


def test_it_says_what_was_found_left_out_and_compared(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "towers" / "mae"
    assert cli.main(["import-weights", "ptcga200-mae", str(file), "--out", str(out), "--image-size", "96"]) == 0
    said = capsys.readouterr().out
    assert f"{file}: MAE by its names" in said
    assert "ViT-L/16, MAE: 30 of 30 weights found (100.0%) in 'model'" in said
    assert "left out, part and number of its tensors: mask_token (1), decoder_pred (1)" in said
    assert "position embeddings resized from 14 x 14 to 6 x 6, bicubic" in said
    assert "largest difference to the formulas of a ViT with these weights: " in said
    assert f"train with vision_model_name: timm, vision_tower: {out}" in said


def test_an_architecture_without_a_second_implementation_is_said_to_be_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(timm.create_model("test_convnext", num_classes=0).state_dict(), tmp_path / "w.pth")
    assert cli.main(["import-weights", "test_convnext", str(tmp_path / "w.pth"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "an encoder alone" in said
    assert "numbers not compared" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["ptcga200-mea", "FILE"], r"unknown encoder 'ptcga200-mea'\. Did you mean 'ptcga200-mae'"),
        (["ptcga200-mae", "FILE", "--activation", "gelu"], "is of kind encoder, for which --activation means nothing"),
        (["FILE"], "of a patch encoder its name too: import-weights ENCODER"),
    ],
)
def test_mistakes_are_named(
    options: list[str], message: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    asked = [str(file) if option == "FILE" else option for option in options]
    try:
        code, said = cli.main(["import-weights", *asked, "--out", str(tmp_path / "out")]), ""
    except PathPluginsError as error:
        code, said = 1, str(error)
    assert code != 0
    assert re.search(message, said + capsys.readouterr().err)
    assert not (tmp_path / "out").exists()
