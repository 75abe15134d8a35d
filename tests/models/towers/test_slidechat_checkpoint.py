"""SlideChat's slide encoder is read whole from wherever it lies, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import slidechat_reference as reference
import torch
from safetensors.torch import save_file
from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import write_json
from pathplugins.models.towers import TOWERS

BEFORE = "LongNet_encoder."


@pytest.fixture
def state() -> dict[str, Tensor]:
    return reference.published_state()


def tower_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(BEFORE): value for name, value in state.items() if name.startswith(BEFORE)}


@pytest.mark.parametrize("how", ["file", "folder", "ours", "bare"])
def test_it_is_read_from(tmp_path: Path, state: dict[str, Tensor], how: str) -> None:
    wanted, path = tower_of(state), tmp_path / "stage1_pth"
    if how == "folder":
        reference.zero_folder(path, {f"module.{name}": value for name, value in state.items()})
    else:
        before = {"file": BEFORE, "ours": "llm.vision_tower.", "bare": ""}[how]
        others = {} if how == "bare" else {"llm.model.norm.weight": torch.ones(3)}
        torch.save({"state_dict": {f"{before}{name}": value for name, value in wanted.items()} | others}, path)
    options, found = TOWERS.get("slidechat").read_weights(str(path), {"dropout": 0.0})
    assert (options["embed_dim"], options["ffn_dim"], options["depth"]) == (16, 40, 2)
    assert (options["dropout"], options["attend"]) == (0.0, False)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_a_part_of_it_is_refused(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "stage1.pth"
    torch.save({name: value for name, value in state.items() if "1.self_attn.k_proj.bias" not in name}, path)
    with pytest.raises(CheckpointError, match=r"41 tensors .* 42 wanted: 1 missing: layers.1.self_attn.k_proj.bias"):
        TOWERS.get("slidechat").read_weights(str(path), {})
    torch.save({"a.weight": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match=r"no slide encoder of SlideChat .* among 1 tensors: a.weight"):
        TOWERS.get("slidechat").read_weights(str(path), {})


def test_a_pointer_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "stage1.pth"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 17\n")
    with pytest.raises(CheckpointError, match=r"Git.LFS|git-lfs"):
        TOWERS.get("slidechat").read_weights(str(path), {})


def test_attention_is_that_of_the_training(tmp_path: Path, state: dict[str, Tensor]) -> None:
    """Published weights know none; a trained model says whether its patches see each other."""
    torch.save(state, tmp_path / "stage1.pth")
    with pytest.raises(CheckpointError, match="patches never see each other, and vision_config says attend: true"):
        TOWERS.get("slidechat").read_weights(str(tmp_path / "stage1.pth"), {"attend": True})
    trained = tmp_path / "stage1"
    trained.mkdir()
    save_file({f"vision_tower.{name}": value for name, value in tower_of(state).items()}, trained / "model.safetensors")
    own = {"attend": True, "num_heads": 4, "segment_lengths": [8], "dilated_ratios": [1]}
    write_json(trained / "config.json", {"vision_config": {"model_type": "slidechat", **own}})
    options, _ = TOWERS.get("slidechat").read_weights(str(trained), {"dropout": 0.0})
    assert (options["attend"], options["num_heads"], options["segment_lengths"]) == (True, 4, (8,))
    with pytest.raises(CheckpointError, match=r"trained with {'attend': True}, vision_config says {'attend': False}"):
        TOWERS.get("slidechat").read_weights(str(trained), {"attend": False})
