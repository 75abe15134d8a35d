"""Low-rank weights beside a language model's own: values, gradients, loading, and that both are learnt."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.compose.view import derived
from pathplugins.models.custom_llava.joint_lora import LowRank, add_joint_lora, resolve_joint_lora

OPTIONS = {"rank": 3, "alpha": 6, "dropout": 0.0, "target": ["q_proj", "o_proj"]}


def test_values_and_gradients_are_those_of_the_formula() -> None:
    torch.manual_seed(0)
    model = nn.ModuleDict({"q_proj": nn.Linear(5, 4), "k_proj": nn.Linear(5, 4)}).double()
    add_joint_lora(model, {**OPTIONS, "target": ["q_proj"]})
    layer = model["q_proj"].double()
    nn.init.normal_(layer.joint_lora.up)
    nn.init.normal_(layer.joint_lora.down)
    x = torch.randn(2, 7, 5, dtype=torch.float64, requires_grad=True)
    weights = dict(model.named_parameters())
    assert set(weights) == {
        *("q_proj.weight", "q_proj.bias", "q_proj.joint_lora.down", "q_proj.joint_lora.up"),
        *("k_proj.weight", "k_proj.bias"),
    }
    copies = {name: weights[name].detach().clone().requires_grad_() for name in weights if "q_proj" in name}
    whole = copies["q_proj.weight"] + 2.0 * copies["q_proj.joint_lora.up"] @ copies["q_proj.joint_lora.down"]
    wanted = x @ whole.T + copies["q_proj.bias"]
    got = layer(x)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-6)
    direction = torch.randn_like(got)
    found = torch.autograd.grad((got * direction).sum(), [x, *(weights[name] for name in copies)])
    right = torch.autograd.grad((wanted * direction).sum(), [x, *copies.values()])
    for ours, theirs in zip(found, right, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_a_composed_model_starts_as_the_one_without_and_comes_back_as_saved(
    make_vlm: Callable[..., Path], load: Callable[..., Any], pack: Callable[..., Any], tmp_path: Path
) -> None:
    plain, joint = load(make_vlm(None)), load(make_vlm(None, joint_lora=OPTIONS))
    ours = [name for name, _ in joint.named_parameters() if ".joint_lora." in name]
    assert len(ours) == 2 * 2 * joint.config.text_config.num_hidden_layers
    for name, value in plain.state_dict().items():
        assert torch.equal(value, joint.state_dict()[name]), f"{name} is not the file's"
    low = [part for part in joint.modules() if isinstance(part, LowRank)]
    assert all(part.down.abs().sum() > 0 and part.up.abs().sum() == 0 for part in low)
    inputs = pack(("What is it?", (5,), " carcinoma"))
    torch.testing.assert_close(joint(**inputs).loss, plain(**inputs).loss, rtol=0, atol=1e-6)

    joint(**inputs).loss.backward()
    grads = {name: p.grad for name, p in joint.named_parameters() if "q_proj" in name and p.grad is not None}
    assert all(grads[name].abs().sum() > 0 for name in grads if name.endswith(("q_proj.weight", "up")))
    for part in low:
        nn.init.normal_(part.up, std=0.5)
    joint.save_pretrained(tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert not torch.equal(joint(**inputs).loss, plain(**inputs).loss)
    torch.testing.assert_close(again(**inputs).loss, joint(**inputs).loss, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rnak": 3}, r"joint_lora has no option \['rnak'\] \(did you mean 'rank'\?\)"),
        ({"rank": 0}, "joint_lora: rank is 0, expected a number such as 16"),
        ({"dropout": 1.0}, r"joint_lora: dropout is 1\.0"),
        ({"target": "q_proj"}, "joint_lora: target is 'q_proj', expected a list of names"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        resolve_joint_lora(options)


def test_a_name_without_a_layer_is_refused() -> None:
    model = nn.ModuleDict({"q_proj": nn.Linear(5, 4)})
    with pytest.raises(PathPluginsError, match="no linear layer of the language model is called 'q_porj'; did you"):
        add_joint_lora(model, {**OPTIONS, "target": ["q_porj"]})


def test_a_directory_gets_low_rank_weights_as_an_option(
    make_vlm: Callable[..., Path], load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))
    directory = make_vlm(None)
    plain, joint = load(directory), load(derived(directory, config={"joint_lora": OPTIONS}, processor={}))
    for name, value in plain.state_dict().items():
        assert torch.equal(value, joint.state_dict()[name]), f"{name} is not the file's"
    low = [part for part in joint.modules() if isinstance(part, LowRank)]
    assert low
    assert all(part.down.abs().sum() > 0 and part.up.abs().sum() == 0 for part in low)
    joint.save_pretrained(tmp_path / "trained")
    shutil.copyfile(directory / "preprocessor_config.json", tmp_path / "trained" / "preprocessor_config.json")
    assert derived(tmp_path / "trained", config={"joint_lora": OPTIONS}, processor={}) == tmp_path / "trained"
    other = {"joint_lora": {**OPTIONS, "target": ["k_proj"]}}
    with pytest.raises(PathPluginsError, match="has trained low-rank weights beside other layers"):
        derived(tmp_path / "trained", config=other, processor={})
