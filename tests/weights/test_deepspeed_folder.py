"""Folders of DeepSpeed: put together from all ranks as DeepSpeed's own converter does, with nothing run."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.weights import open_weights

SHAPES = [{"a.weight": (5, 7), "a.bias": (3,)}, {"b.weight": (2, 3, 5), "scale": ()}]
FROZEN = {"frozen.weight": (4, 3)}
RANKS = 3


class Harmful:
    """Makes a file when it is unpickled by a reader that runs what files say."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def trained() -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return {name: torch.randn(shape, generator=draw) for group in SHAPES for name, shape in group.items()}


def frozen() -> dict[str, Tensor]:
    return {name: torch.arange(math.prod(shape)).view(shape).bfloat16() for name, shape in FROZEN.items()}


def cut(value: Tensor) -> list[Tensor]:
    """A vector in equal pieces, one of each rank, padded with what nobody may read."""
    padded = torch.full((RANKS * math.ceil(value.numel() / RANKS),), 99.0, dtype=value.dtype)
    padded[: value.numel()] = value.flatten()
    return [piece.clone() for piece in padded.chunk(RANKS)]


def model_states(folder: Path, stage: int, harm: Path) -> None:
    sizes = [OrderedDict((name, torch.Size(shape)) for name, shape in group.items()) for group in SHAPES]
    module = {name: value.bfloat16() for name, value in trained().items()} | frozen()
    for rank in range(RANKS if stage == 3 else 1):
        fragments = {name: cut(value)[rank] if stage == 3 else value for name, value in frozen().items()}
        content = {
            "module": {"buffer": torch.arange(4.0), **({} if stage == 3 else module)},
            "buffer_names": ["buffer"],
            "param_shapes": sizes,
            "frozen_param_shapes": {name: torch.Size(shape) for name, shape in FROZEN.items()},
            "frozen_param_fragments": fragments,
            "shared_params": {"tied.weight": "a.weight"},
            "ds_version": "0.16.2",
            "ds_config": Harmful(harm),
        }
        torch.save(content, folder / f"{f'zero_pp_rank_{rank}_' if stage == 3 else ''}mp_rank_00_model_states.pt")


def flat(stage: int) -> list[list[Tensor]]:
    """What each rank has of each group."""
    state = trained()
    if stage == 3:
        pieces = [[cut(state[name]) for name in group] for group in SHAPES]
        return [[torch.cat([piece[rank] for piece in group]) for group in pieces] for rank in range(RANKS)]
    groups = []
    for group in SHAPES:
        whole = torch.cat([state[name].flatten() for name in group])
        groups.append(list(torch.nn.functional.pad(whole, (0, -len(whole) % (2 * RANKS)), value=99).chunk(RANKS)))
        groups[-1][-1] = groups[-1][-1][: len(whole) - 2 * len(groups[-1][0])]  # saved without the padding
    return [[group[rank].clone() for group in groups] for rank in range(RANKS)]


def write(folder: Path, stage: int, *, ranks: int = RANKS, change: Callable[[Any], None] | None = None) -> Path:
    folder.mkdir(parents=True)
    model_states(folder, stage, folder / "ran")
    for rank, groups in enumerate(flat(stage)[:ranks]):
        name = "fp32_flat_groups" if stage == 3 else "single_partition_of_fp32_groups"
        state = {"zero_stage": stage, "partition_count": RANKS if stage == 3 else [RANKS, RANKS], name: groups}
        if change:
            change(state)
        content = {"optimizer_state_dict": {**state, "loss_scaler": Path("x")}, "ds_version": "0.16.2"}
        torch.save(content, folder / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    return folder


@pytest.mark.parametrize("stage", [2, 3])
def test_weights_come_whole_and_nothing_runs(tmp_path: Path, stage: int) -> None:
    weights = open_weights(write(tmp_path / "iter_7.pth", stage))
    wanted = {"buffer": torch.arange(4.0), **frozen(), **trained()}
    wanted["tied.weight"] = wanted["a.weight"]
    assert weights.keys() == wanted.keys()
    for name, value in wanted.items():
        assert (weights.shape(name), weights.dtype(name)) == (value.shape, str(value.dtype).removeprefix("torch."))
        assert torch.equal(weights[name], value), name
    assert torch.equal(weights.stored["a.weight"].rows(1, 3), wanted["a.weight"][1:3])
    assert not (tmp_path / "iter_7.pth" / "ran").exists()


@pytest.mark.parametrize("stage", [2, 3])
def test_the_same_as_deepspeed_itself(tmp_path: Path, stage: int) -> None:
    converter = pytest.importorskip("deepspeed.utils.zero_to_fp32")
    ours = open_weights(write(tmp_path / "run" / "iter_7.pth", stage))
    theirs = converter.get_fp32_state_dict_from_zero_checkpoint(str(tmp_path / "run"), "iter_7.pth")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name].float(), value.float()) for name, value in theirs.items())


def test_the_last_checkpoint_of_a_run(tmp_path: Path) -> None:
    write(tmp_path / "global_step7", 2)
    (tmp_path / "latest").write_text("global_step7\n")
    assert torch.equal(open_weights(tmp_path)["a.bias"], trained()["a.bias"])


def test_without_the_optimizer_the_weights_are_those_of_the_run(tmp_path: Path) -> None:
    folder = write(tmp_path / "two", 2, ranks=0)
    weights = open_weights(folder)
    assert torch.equal(weights["a.weight"], trained()["a.weight"].bfloat16())
    assert weights.container == "module"
    with pytest.raises(CheckpointError, match=r"three holds the weights in pieces \(ZeRO-3\).*copy the whole folder"):
        open_weights(write(tmp_path / "three", 3, ranks=0))


@pytest.mark.parametrize("stage", [2, 3])
def test_a_missing_rank_is_noticed(tmp_path: Path, stage: int) -> None:
    folder = write(tmp_path / "some", stage, ranks=2)
    with pytest.raises(CheckpointError, match=r"optim_states\.pt of 2 of 3 ranks; copy the files of every node"):
        open_weights(folder)
    (folder / "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt").unlink()
    with pytest.raises(CheckpointError, match=r"lacks the \*_optim_states\.pt of rank 0"):
        open_weights(folder)


def longer(state: dict[str, Any]) -> None:
    for name in ("fp32_flat_groups", "single_partition_of_fp32_groups"):
        if name in state:
            state[name][0] = torch.cat([state[name][0], torch.zeros(7)])


@pytest.mark.parametrize("stage", [2, 3])
def test_files_of_two_checkpoints_do_not_fit(tmp_path: Path, stage: int) -> None:
    with pytest.raises(CheckpointError, match=r"its weights have \d+ values and the files of the optimizer \d+"):
        open_weights(write(tmp_path / "mixed", stage, change=longer))


def test_a_model_split_by_tensors_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "tp", 2)
    (folder / "mp_rank_01_model_states.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"mp_rank_01_model_states\.pt: of a model split by tensors"):
        open_weights(folder)


def test_another_file_of_that_name(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "mp_rank_00_model_states.pt")
    with pytest.raises(CheckpointError, match=r"have an entry 'module', this one has none"):
        open_weights(tmp_path)
