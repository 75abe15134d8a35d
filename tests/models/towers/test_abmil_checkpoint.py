"""Gated-attention weights: both published layouts, with what they hold besides, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoProcessor

from pathplugins.core.errors import CheckpointError
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.models.towers.abmil import AbmilTower
from pathplugins.models.towers.abmil_checkpoint import read_abmil
from pathplugins.models.towers.abmil_config import AbmilConfig

State = dict[str, torch.Tensor]


def linear(name: str, out: int, into: int) -> State:
    return {f"{name}.weight": torch.randn(out, into), f"{name}.bias": torch.randn(out)}


def chief(width: int = 768, hidden: int = 512, gates: int = 256, *, at: int = 3) -> State:
    """CHIEF_pretraining.pth as its code would load it, strictly."""
    torch.manual_seed(1)
    net = f"attention_net.{at}.attention"
    state = linear("attention_net.0", hidden, width) | linear(f"{net}_a.0", gates, hidden)
    state |= linear(f"{net}_b.0", gates, hidden) | linear(f"{net}_c", 1, gates)
    state |= linear("classifiers", 2, hidden) | linear("instance_classifiers.0", 2, hidden)
    state |= linear("instance_classifiers.1", 2, hidden) | linear("att_head.fc1", gates, hidden)
    state |= linear("att_head.fc2", 1, gates) | linear("text_to_vision.0", hidden, 768)
    return state | {"organ_embedding": torch.randn(19, 768)}


def feather(width: int = 1024, hidden: int = 512, gates: int = 384, *, prefix: str = "model.") -> State:
    """The file of a MIL-Lab model without its classifier."""
    torch.manual_seed(2)
    state = linear("patch_embed.0", hidden, width) | linear("global_attn.attention_a.0", gates, hidden)
    state |= linear("global_attn.attention_b.0", gates, hidden) | linear("global_attn.attention_c", 1, gates)
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def forward(state: State, names: dict[str, str], x: torch.Tensor) -> torch.Tensor:
    """The slide token by the published names."""
    of = {ours: (state[f"{name}.weight"], state[f"{name}.bias"]) for ours, name in names.items()}
    h = (x @ of["embed"][0].T + of["embed"][1]).clamp_min(0)
    a = torch.tanh(h @ of["tanh"][0].T + of["tanh"][1]) * torch.sigmoid(h @ of["sigmoid"][0].T + of["sigmoid"][1])
    return torch.softmax((a @ of["score"][0].T + of["score"][1])[:, 0], 0) @ h


CHIEF_NAMES = {"embed": "attention_net.0", "tanh": "attention_net.3.attention_a.0"}
CHIEF_NAMES |= {"sigmoid": "attention_net.3.attention_b.0", "score": "attention_net.3.attention_c"}
FEATHER_NAMES = {"embed": "model.patch_embed.0", "tanh": "model.global_attn.attention_a.0"}
FEATHER_NAMES |= {"sigmoid": "model.global_attn.attention_b.0", "score": "model.global_attn.attention_c"}


@pytest.mark.parametrize(
    ("state", "names", "width", "encoder"),
    [
        (chief(), CHIEF_NAMES, 768, "ctranspath"),
        (feather(), FEATHER_NAMES, 1024, "uni"),
        (feather(768), FEATHER_NAMES, 768, "conch-v1.5"),
        (feather(1536), FEATHER_NAMES, 1536, "uni2-h"),
    ],
    ids=["chief", "feather of uni", "feather of conch", "feather of uni2"],
)
def test_published_names_round_trip(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    state: State,
    names: dict[str, str],
    width: int,
    encoder: str,
) -> None:
    torch.save(state, tmp_path / "weights.pth")
    options, ours = read_abmil(str(tmp_path / "weights.pth"), {})
    assert (options["feature_dim"], options["hidden_dim"], options["encoder"]) == (width, 512, encoder)
    assert f"bags of another patch encoder than {encoder} are refused" in caplog.text
    tower = AbmilTower(AbmilConfig(**options)).double()
    tower.load_state_dict(ours)
    x = torch.randn(11, width, dtype=torch.float64)
    slides, _ = tower(x, torch.zeros(11, 2), torch.tensor([11]))
    exact = {name: tensor.double() for name, tensor in state.items()}
    torch.testing.assert_close(slides[0], forward(exact, names, x), rtol=0, atol=1e-9)


def test_a_folder_of_the_hub_and_an_encoder_of_ones_own(tmp_path: Path) -> None:
    save_file(feather(48, 12, 5), tmp_path / "model.safetensors")
    options, _ = read_abmil(str(tmp_path), {"encoder": "phikon", "tokens": "features"})
    assert options == {
        "feature_dim": 48,
        "hidden_dim": 12,
        "attention_dim": 5,
        "tokens": "features",
        "encoder": "phikon",
    }
    assert read_abmil(str(tmp_path), {})[0]["encoder"] is None  # nobody published this shape


def test_clam_without_dropout_is_read_and_nobody_guesses_its_encoder(tmp_path: Path) -> None:
    state = chief(40, 12, 5, at=2)
    del state["organ_embedding"]
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, tmp_path / "s.pt")
    options, ours = read_abmil(str(tmp_path / "s.pt"), {})
    assert options["encoder"] is None
    assert torch.equal(ours["score.weight"], state["attention_net.2.attention_c.weight"])


def without(state: State, name: str) -> State:
    return {key: tensor for key, tensor in state.items() if name not in key}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (without(chief(), "attention_b.0.bias"), "1 missing: gate_sigmoid.bias"),
        (chief() | {"attention_net.4.weight": torch.ones(2)}, "1 unexpected: attention_net.4.weight"),
        (feather() | {"model.patch_embed.3.weight": torch.ones(2)}, "1 unexpected: patch_embed.3.weight"),
        (feather() | {"other": torch.ones(2)}, "1 unexpected: other"),
        (without(chief(), "attention_a"), "its attention has no gates"),
        (chief() | linear("attention_net.3.attention_c", 4, 256), "its attention has 4 branches"),
        ({"encoder.weight": torch.ones(2, 2)}, "no slide encoder with gated attention"),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path: Path, state: State, message: str) -> None:
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=message):
        read_abmil(str(tmp_path / "weights.pth"), {})


def test_a_git_lfs_pointer_and_a_wrong_width_are_named(tmp_path: Path) -> None:
    (tmp_path / "p.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(CheckpointError, match="LFS"):
        read_abmil(str(tmp_path / "p.safetensors"), {})
    torch.save(feather(48, 12, 5), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"has \{'feature_dim': 48\} but vision_config says"):
        read_abmil(str(tmp_path / "w.pth"), {"feature_dim": 49})


def test_a_model_is_composed_with_it(
    make_spec: Callable[..., ComposeSpec], load: Callable[..., Any], write_h5: Callable[..., Path], tmp_path: Path
) -> None:
    torch.save(feather(10, 12, 5), tmp_path / "w.pth")
    spec = make_spec(
        vision_model_name="abmil",
        vision_tower=str(tmp_path / "w.pth"),
        random_vision_seed=None,
        vision_config={},
        vision_feature_select_mode="prumerge",
        selector_config={"k_per_token": 3},
    )
    directory = compose(spec, tmp_path / "vlm")
    model, processor = load(directory), AutoProcessor.from_pretrained(directory)
    assert model.config.vision_config["model_type"] == "abmil"
    inputs = processor(["<image>What?", "<image>"], [[write_h5("short", 4)], [write_h5("long", 19)]])
    assert (inputs["input_ids"] == model.config.image_token_id).sum(1).tolist() == [1 + 4, 1 + spec.image_seq_length]
    assert model(**inputs).logits.isfinite().all()
    assert model.select_image_tokens(**inputs).counts == [1 + 4, 1 + spec.image_seq_length]
