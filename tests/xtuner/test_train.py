"""Both stages by their smoke configs, in one process: what is trained, saved, said and taken over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint

pytestmark = pytest.mark.host

PARTS = ("multi_modal_projector.", ".lora_A.", ".lora_B.")


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> dict[str, float]:
    """Part -> the farthest that any of its weights has moved."""
    far = dict.fromkeys(PARTS, 0.0)
    for name, value in after.items():
        part = next(part for part in PARTS if part in name)
        far[part] = max(far[part], (value.float() - before[name].float()).abs().max().item())
    return far


def test_stage_1_learns(align: Any) -> None:
    losses = align.losses()
    assert set(losses) == set(range(1, 13))
    assert losses[12] < 0.3 * losses[1], losses
    assert align.checkpoints() == {"iter_4.pth", "iter_8.pth", "iter_12.pth"}


@pytest.mark.parametrize(("run", "last"), [("align", 12), ("tune", 24)])
def test_a21_a22_checkpoints_hold_what_is_trained_and_nothing_else(
    request: pytest.FixtureRequest, run: str, last: int
) -> None:
    state = read_checkpoint(request.getfixturevalue(run).checkpoint(last))
    assert [name for name in state if not any(part in name for part in PARTS)] == []
    layers = {name.partition("model.layers.")[2].partition(".lora_")[0] for name in state if ".lora_" in name}
    blocks = [f"self_attn.{p}_proj" for p in "qkvo"] + [f"mlp.{p}_proj" for p in ("gate", "up", "down")]
    assert layers == {f"{n}.{block}" for n in (0, 1) for block in blocks}, "all linear layers of the language model"
    assert sum("multi_modal_projector." in name for name in state) > 50
    assert {value.dtype for value in state.values()} == {torch.float32}


def test_a30_the_model_is_asked_before_and_after(align: Any) -> None:
    untrained, trained = align.answers(0), align.answers(12)
    prompt = "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
    for said in (untrained, trained):
        assert said.count("<image>") <= 1  # one placeholder, however many tiles: nobody wants to read a thousand
        assert prompt in said
        assert said.rpartition("<|end_header_id|>")[2].strip()
    assert trained.rpartition("<|end_header_id|>")[2].strip().startswith("The image shows ")
    assert untrained != trained
    assert trained.strip().splitlines()[-1] in align.log


def test_a20_stage_2_starts_from_stage_1(align: Any, tune: Any) -> None:
    """Adam's first step moves a weight by the learning rate at most, and some weights by just that."""
    stage_1 = read_checkpoint(align.checkpoint(12))
    assert f"loaded {len(stage_1)} trained weights from work_dirs/pallava_smoke_align/iter_12.pth" in tune.log
    far = moved(stage_1, read_checkpoint(tune.checkpoint(2)))
    assert far == pytest.approx({PARTS[0]: 1e-3, PARTS[1]: 2e-3, PARTS[2]: 2e-3}, rel=0.01), "lr_mult halves the first"


def test_stage_2_learns_on(align: Any, tune: Any, model: Any, samples: dict[str, Any]) -> None:
    assert set(tune.losses()) == set(range(1, 49))
    losses = []
    for checkpoint in (align.checkpoint(12), tune.checkpoint(48)):
        model.load_trained(read_checkpoint(checkpoint), checkpoint.name)
        with torch.no_grad():
            losses.append(model.eval()(samples)["loss"].item())
    assert losses[1] < 0.8 * losses[0] < 0.1 * align.losses()[1], "stage 2 below stage 1 below untrained"


def test_a23_images_and_limit_are_counted_before_training(align: Any, folder: Path) -> None:
    assert "checked 24 of 24 files, 0 bad" in align.log
    assert len(list((folder / "pallava_smoke_images").glob("*.png"))) == 24
