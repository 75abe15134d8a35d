"""Two processes on one machine, started as the documentation says: they do what one process does."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathplugins.cli import main
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint

pytestmark = pytest.mark.host

TUNE = "pallava_smoke_tune.py"


@pytest.fixture(scope="session")
def alone(tune: Any) -> dict[int, float]:
    """Step -> loss of its first sample, the one that rank 0 has when there are two."""
    return {step: tune.losses()[2 * step - 1] for step in range(1, 13)}


def test_a24_two_nodes_train_from_a_folder_tokenized_before(
    start: Callable[..., Any],
    pairs: dict[str, Any],
    alone: dict[int, float],
    tune: Any,
    folder: Path,
    port: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The published launch line, with DDP; what `pathplugins preprocess` writes (A25) trains as its source does."""
    monkeypatch.chdir(folder)
    assert main(["preprocess", TUNE, "--out", "tokenized"]) == 0
    data = "train_dataloader.dataset."
    own = {f"{data}data_path": None, f"{data}offline_processed_text_folder": folder / "tokenized"}
    nodes = [
        start(
            *(TUNE, "--seed", 7),
            work="work_dirs/nodes",
            options={**pairs, **own, "env_cfg.dist_cfg.backend": "nccl"},  # as the real configs say
            env={"NPROC_PER_NODE": "1", "NNODES": "2", "PORT": port, "ADDR": "127.0.0.1", "NODE_RANK": str(rank)},
            cold=rank == 0,  # one of two that are started alike
        )
        for rank in (0, 1)
    ]
    for node in nodes:
        node.end()
    assert nodes[0].losses() == pytest.approx(alone, rel=1e-4)
    assert len({round(loss, 4) for loss in alone.values()}) == 12, "the losses must differ for this to say anything"
    judged, wanted = nodes[0].evaluated()[12], tune.evaluated()[24]  # five batches, which two processes cannot halve
    for name in ("eval_loss", "eval_sanity_check_loss"):
        assert judged[name] == pytest.approx(wanted[name], rel=1e-3), name
    ours, theirs = read_checkpoint(nodes[0].checkpoint(12)), read_checkpoint(tune.checkpoint(24))
    assert ours.keys() == theirs.keys()
    far = {name: (value - theirs[name]).abs().max().item() for name, value in ours.items()}
    assert max(far.values()) < 1e-3, "half a step"


@pytest.mark.parametrize("zero", ["zero2", "zero3"])
def test_deepspeed_trains_alike_and_keeps_the_rates(
    request: pytest.FixtureRequest, align: Any, alone: dict[int, float], zero: str
) -> None:
    """bfloat16 has 8 bits: between 8 and 16 logits stand 0.06 apart, and two roundings may part these losses so."""
    run = request.getfixturevalue(zero)
    losses = run.losses()
    assert set(losses) == set(alone)
    assert all(math.isfinite(loss) for loss in losses.values())
    assert losses == pytest.approx(alone, rel=0.03, abs=0.1)
    assert statistics.pstdev(alone.values()) > 0.4, "the losses must differ by more for this to say anything"
    assert run.answers(12).rpartition("<|end_header_id|>")[2].strip().startswith("The image shows ")

    state, stage_1 = read_checkpoint(run.checkpoint(1)), read_checkpoint(align.checkpoint(12))
    assert {name: value.shape for name, value in state.items()} == {
        name: value.shape for name, value in stage_1.items()
    }, "what is trained and nothing else"
    far: dict[str, float] = {}
    for name, value in state.items():  # the first step of Adam is the rate, on top of the rounding of the start
        part = next(part for part in ("multi_modal_projector", "lora_A", "lora_B") if part in name)
        start = stage_1[name].bfloat16().float()
        far[part] = max(far.get(part, 0.0), (value - start).abs().max().item())
    assert far == pytest.approx({"multi_modal_projector": 1e-3, "lora_A": 2e-3, "lora_B": 2e-3}, rel=0.02)
