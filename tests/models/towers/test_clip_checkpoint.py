"""CLIP and PLIP weights: good and bad files."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.towers import TOWERS, clip_checkpoint, clip_vit
from pathplugins.models.towers.clip_checkpoint import read_clip, read_plip
from pathplugins.models.towers.clip_vit import ClipVisionConfig, ClipVisionTower

SHAPE: dict[str, Any] = {
    "hidden_size": 12,
    "intermediate_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "image_size": 28,
    "patch_size": 2,
}
PLIP_FILE = "plip_80w_196token.bin"


def vision_state() -> dict[str, Tensor]:
    """A vision transformer by the names Transformers had before 5.6."""
    torch.manual_seed(5)
    state = CLIPVisionModel(CLIPVisionConfig(**SHAPE)).state_dict()
    return {f"vision_model.{name.removeprefix('vision_model.')}": value for name, value in state.items()}


def plip(folder: Path, **changes: Any) -> Path:
    """A directory as PA-LLaVA publishes it: one misspelt norm, one buffer among the weights."""
    state = {name.replace("post_layernorm", "post_layrnorm"): value for name, value in vision_state().items()}
    state["vision_model.embeddings.position_ids"] = torch.arange(197)[None]
    torch.save(state, folder / PLIP_FILE)
    write_json(folder / "config.json", {**SHAPE, "projection_dim": 9, "model_type": "clip_vision_model", **changes})
    return folder


def same(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, wanted[f"vision_model.{name}"]) for name, value in state.items())


def loads(options: dict[str, Any], state: dict[str, Tensor]) -> ClipVisionTower:
    part = ClipVisionTower(ClipVisionConfig(**options))
    part.load_state_dict(state, strict=True)
    return part


def test_plip_as_it_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "plip").mkdir()
    with tarfile.open(tmp_path / "plip.tar.gz", "w:gz") as archive:
        archive.add(plip(tmp_path / "plip"), "plip")
    options, state = TOWERS.get("plip").read_weights(str(tmp_path / "plip.tar.gz"), {})
    assert options["select_layer"] == -2
    assert same(state, vision_state())


def test_the_directory_pa_llava_publishes(tmp_path: Path) -> None:
    for path in (plip(tmp_path), tmp_path / PLIP_FILE):
        options, state = TOWERS.get("plip").read_weights(str(path), {})
        assert options == {**SHAPE, "num_channels": 3, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5} | {
            "select_layer": -2,
            "looks_ahead": False,
        }
        assert same(state, vision_state())
        assert len(loads(options, state).encoder.layers) == 2


@pytest.mark.parametrize("layout", ["safetensors", "sharded", "bin", "vision", "flat", "module"])
def test_whole_models_and_vision_parts(tmp_path: Path, layout: str) -> None:
    text = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    whole = CLIPModel(CLIPConfig(text_config={**text, "vocab_size": 30}, vision_config=SHAPE, projection_dim=6))
    if layout == "safetensors":
        whole.save_pretrained(tmp_path)
    elif layout == "sharded":
        whole.save_pretrained(tmp_path, max_shard_size="2KB")
        assert len(list(tmp_path.glob("*.safetensors"))) > 1
    else:
        write_json(tmp_path / "config.json", SHAPE if layout == "flat" else {"vision_config": SHAPE})
    state = {f"vision_model.{n}": v for n, v in bare(whole.vision_model).items()}
    if layout == "bin":
        torch.save({**whole.state_dict()}, tmp_path / "pytorch_model.bin")
        torch.save({"other": torch.zeros(1)}, tmp_path / "training_args.bin")
    elif layout == "vision":
        save_file(state, tmp_path / "model.safetensors")
    elif layout == "flat":
        save_file({n.removeprefix("vision_model."): v for n, v in state.items()}, tmp_path / "model.safetensors")
    elif layout == "module":
        torch.save({"state_dict": {f"module.visual_encoder.{n}": v for n, v in state.items()}}, tmp_path / "any.bin")
    options, got = read_clip(str(tmp_path), {"select_layer": 2})
    assert same(got, state)
    assert options["select_layer"] == 2
    loads(options, got)


def bare(part: nn.Module) -> dict[str, Tensor]:
    return {name.removeprefix("vision_model."): value for name, value in part.state_dict().items()}


def test_plip_is_read_without_its_config_and_no_other_number_of_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P23: it is published as one file; heads and activation are in no shape."""
    path = plip(tmp_path)
    known = {name: value for name, value in vars(ClipVisionConfig(**SHAPE)).items() if name not in clip_vit.CHOSEN}
    monkeypatch.setattr(clip_checkpoint, "PLIP", known)
    wanted, _ = read_plip(str(path), {})
    (tmp_path / "config.json").unlink()
    assert read_plip(str(tmp_path / PLIP_FILE), {})[0] == wanted
    with pytest.raises(CheckpointError, match="no such file"):
        read_clip(str(tmp_path / PLIP_FILE), {})
    for name, value in {"num_attention_heads": 1, "hidden_act": "gelu", "layer_norm_eps": 1e-6}.items():
        plip(tmp_path, **{name: value})
        with pytest.raises(CheckpointError, match=rf"settings say .*{name}"):
            read_plip(str(tmp_path), {})


def test_the_published_plip_is_a_vit_b_16() -> None:
    wanted = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "patch_size": 16}
    assert {name: clip_checkpoint.PLIP[name] for name in wanted} == wanted
    assert clip_checkpoint.PLIP["hidden_act"] == "quick_gelu"


def test_what_config_json_leaves_out_is_transformers_default(tmp_path: Path) -> None:
    """``openai/clip-vit-base-patch32`` says nothing of its vision part."""
    small = {"hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2}
    write_json(tmp_path / "config.json", {"vision_config": {"model_type": "clip_vision_model", **small}})
    full = ClipVisionTower(ClipVisionConfig(patch_size=32, select_layer=-1, **small)).state_dict()
    save_file({name: torch.zeros(value.shape) for name, value in full.items()}, tmp_path / "model.safetensors")
    options, state = read_clip(str(tmp_path), {})
    assert (options["patch_size"], options["num_attention_heads"], len(state)) == (32, 12, 5 + 16)
    with pytest.raises(
        CheckpointError, match=r"gives 49 tokens per tile \(patches of 32 px\); PA-LLaVA's PLIP is a ViT"
    ):
        read_plip(str(tmp_path), {})


def test_options_may_not_contradict(tmp_path: Path) -> None:
    path = str(plip(tmp_path))
    read_clip(path, {"hidden_size": 12, "select_layer": -3})
    with pytest.raises(CheckpointError, match=r"has {'patch_size': 2} but vision_config says {'patch_size': 16}"):
        read_clip(path, {"patch_size": 16})
    with pytest.raises(CheckpointError, match=r"select_layer must be in \[-4, 3\] for 3 layers, got 9"):
        read_clip(path, {"select_layer": 9})
    with pytest.raises(TypeError, match="layer"):
        read_clip(path, {"layer": 9})


def test_partial_weights_are_refused_with_counts(tmp_path: Path) -> None:
    """The last layer does not run, but a file without it is not whole."""
    state = torch.load(plip(tmp_path) / PLIP_FILE)
    del state["vision_model.encoder.layers.2.mlp.fc2.bias"], state["vision_model.pre_layrnorm.weight"]
    torch.save(state, tmp_path / PLIP_FILE)
    expected = (
        r"51 tensors read, 53 wanted: 2 missing: encoder\.layers\.2\.mlp\.fc2\.bias, pre_layrnorm\.weight; weights are "
        "taken whole or not at all"
    )
    with pytest.raises(CheckpointError, match=expected):
        read_clip(str(tmp_path), {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"patch_size": 4},
            "patch_size is 2 in the weights and 4 in config.json, patch tokens is 196 in the weights and 49",
        ),
        ({"hidden_size": 24}, "hidden_size is 12 in the weights and 24 in config.json; 53 tensors read"),
        ({"image_size": 56}, "patch tokens is 196 in the weights and 784 in config.json"),
        ({"num_hidden_layers": 4}, "53 tensors read, 69 wanted: 16 missing: encoder.layers.3"),
        ({"num_hidden_layers": 2}, "53 tensors read, 37 wanted: 16 unexpected: encoder.layers.2"),
        ({"num_attention_heads": 5}, "hidden_size must be a multiple of num_attention_heads=5, got 12"),
    ],
)
def test_a_configuration_of_another_model_is_named(tmp_path: Path, changes: dict[str, int], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_clip(str(plip(tmp_path, **changes)), {})


def test_files_that_are_no_clip_say_so(tmp_path: Path) -> None:
    plip(tmp_path)
    torch.save({"visual.trunk.stem.weight": torch.zeros(2)}, tmp_path / PLIP_FILE)
    with pytest.raises(
        CheckpointError, match=r"found 0 among 1 tensors: visual\.trunk\.stem\.weight; name the weights of"
    ):
        read_clip(str(tmp_path), {})
    torch.save({"visual.conv1.weight": torch.zeros(2)}, tmp_path / PLIP_FILE)
    with pytest.raises(CheckpointError, match=r"of its 1 tensors, visual\.conv1\.weight, .* are missing or of a wrong"):
        read_clip(str(tmp_path), {})
    torch.save({}, tmp_path / "second.bin")
    with pytest.raises(
        CheckpointError, match=rf"one single \.bin or \.pt file \(found {PLIP_FILE}, second\.bin\); name"
    ):
        read_clip(str(tmp_path), {})
    (tmp_path / "config.json").unlink()
    torch.save({"visual.trunk.stem.weight": torch.zeros(2)}, tmp_path / PLIP_FILE)
    with pytest.raises(CheckpointError, match=r"config\.json: no such file; the number of heads is told nowhere else"):
        read_clip(str(tmp_path / PLIP_FILE), {})


def of_open_clip(file: Path, *, positions: int = 26, extra: tuple[str, ...] = ()) -> Path:
    """A vision transformer 64 wide of one layer by OpenCLIP's names, patches of 3 px."""
    c = 64
    shapes = {"conv1.weight": (c, 3, 3, 3), "class_embedding": (c,), "positional_embedding": (positions, c)}
    shapes |= {f"{norm}.{kind}": (c,) for norm in ("ln_pre", "ln_post") for kind in ("weight", "bias")}
    linear = {"attn.out_proj": (c, c), "mlp.c_fc": (99, c), "mlp.c_proj": (c, 99), "ln_1": (c,), "ln_2": (c,)}
    at = "transformer.resblocks.0."
    shapes |= {f"{at}attn.in_proj_weight": (3 * c, c), f"{at}attn.in_proj_bias": (3 * c,)}
    shapes |= {f"{at}{name}.weight": shape for name, shape in linear.items()}
    shapes |= {f"{at}{name}.bias": shape[:1] for name, shape in linear.items()}
    state = {f"visual.{name}": torch.randn(shape) for name, shape in shapes.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({**state, **dict.fromkeys(extra, torch.zeros(1))}, file)
    return file


@pytest.mark.parametrize("at", ["x.pt", "folder/x.pt", "folder/open_clip_pytorch_model.bin"])
def test_open_clip_is_read_where_it_lies(tmp_path: Path, at: str) -> None:
    """P23: a file, or the one in a folder, without ``config.json``; every option that shapes tell is told."""
    file = of_open_clip(tmp_path / at)
    path = file if at == "x.pt" else file.parent
    options, state = read_clip(str(path), {"hidden_act": "gelu", "select_layer": -1})
    told = (options["hidden_size"], options["intermediate_size"], options["image_size"], options["num_hidden_layers"])
    assert told == (64, 99, 15, 1)
    loads(options, state)
    with pytest.raises(
        CheckpointError, match=r"has {'patch_size': 3} but vision_config says {'patch_size': 5}; remove"
    ):
        read_clip(str(path), {"hidden_act": "gelu", "patch_size": 5})
    with pytest.raises(
        CheckpointError, match=r"gives 25 tokens per tile \(patches of 3 px\); PA-LLaVA's PLIP is a ViT"
    ):
        read_plip(str(path), {"hidden_act": "gelu"})


def test_what_open_clip_has_more_is_refused(tmp_path: Path) -> None:
    more = of_open_clip(tmp_path / "x.pt", extra=("visual.attn_pool.query",))
    with pytest.raises(CheckpointError, match=r"22 tensors read, 21 wanted: 1 unexpected: visual\.attn_pool\.query"):
        read_clip(str(more), {"hidden_act": "gelu"})


def test_a_clip_configuration_is_json(tmp_path: Path) -> None:
    options, _ = read_clip(str(plip(tmp_path)), {})
    write_json(tmp_path / "again.json", options)
    assert read_json(tmp_path / "again.json") == options


def test_another_number_of_heads_than_published_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shape = {"hidden_size": 768, "intermediate_size": 5, "num_hidden_layers": 1, "image_size": 32, "patch_size": 16}
    for heads in (12, 8):
        folder = tmp_path / str(heads)
        CLIPVisionModel(CLIPVisionConfig(**shape, num_attention_heads=heads)).save_pretrained(folder)
        assert read_clip(str(folder), {"select_layer": -1})[0]["num_attention_heads"] == heads
    assert "/12" not in caplog.text
    assert "say 8 attention heads for a width of 768, published CLIPs have 12" in caplog.text
