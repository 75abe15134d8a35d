"""OpenCLIP's weights become Transformers' CLIP, number for number, or are refused (features P23, P24)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPModel, CLIPVisionModel, CLIPVisionModelWithProjection

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.foreign.open_clip.convert import import_open_clip
from pathplugins.models.foreign.open_clip.reference import image_features, text_features
from pathplugins.models.towers.clip_checkpoint import read_clip
from pathplugins.models.towers.clip_vit import ClipVisionConfig, ClipVisionTower
from pathplugins.models.towers.open_clip_checkpoint import check_architecture, read_open_clip
from pathplugins.published.open_clip import ARCHITECTURES
from pathplugins.weights.names.open_clip import to_transformers

VISION = {"layers": 3, "width": 128, "patch_size": 7, "image_size": 35}
TEXT = {"context_length": 9, "vocab_size": 51, "width": 64, "heads": 1, "layers": 2}
FEATURES = 20


def shapes(
    *, width: int = 128, layers: int = 3, patch: int = 7, image: int = 35, features: int = FEATURES, text: bool = True
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of OpenCLIP's CLIP, written out."""
    found: dict[str, tuple[int, ...]] = {
        "visual.class_embedding": (width,),
        "visual.positional_embedding": ((image // patch) ** 2 + 1, width),
        "visual.proj": (width, features),
        "visual.conv1.weight": (width, 3, patch, patch),
    }
    parts = [("visual.", width, layers)]
    for norm in ("ln_pre", "ln_post"):
        found |= {f"visual.{norm}.weight": (width,), f"visual.{norm}.bias": (width,)}
    if text:
        wide = TEXT["width"]
        found |= {
            "positional_embedding": (TEXT["context_length"], wide),
            "text_projection": (wide, features),
            "logit_scale": (),
            "token_embedding.weight": (TEXT["vocab_size"], wide),
            "ln_final.weight": (wide,),
            "ln_final.bias": (wide,),
        }
        parts.append(("", wide, TEXT["layers"]))
    for prefix, c, count in parts:
        inner = {"ln_1": (c,), "ln_2": (c,), "attn.out_proj": (c, c), "mlp.c_fc": (4 * c, c), "mlp.c_proj": (c, 4 * c)}
        for number in range(count):
            at = f"{prefix}transformer.resblocks.{number}."
            found |= {f"{at}attn.in_proj_weight": (3 * c, c), f"{at}attn.in_proj_bias": (3 * c,)}
            for name, shape in inner.items():
                found |= {f"{at}{name}.weight": shape, f"{at}{name}.bias": shape[:1]}
    return found


def drawn(**size: Any) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: 0.15 * torch.randn(shape, generator=generator) for name, shape in shapes(**size).items()}


def saved(path: Path, state: dict[str, Tensor] | None = None) -> Path:
    torch.save(drawn() if state is None else state, path)
    return path


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_open_clip_itself_gives_the_same_numbers(tmp_path: Path, activation: str) -> None:
    """P23: the real package against what is written, image, text and the layer LLaVA reads; odd sizes."""
    pytest.importorskip("open_clip")
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    quick = activation == "quick_gelu"
    real = CLIP(FEATURES, CLIPVisionCfg(**VISION), CLIPTextCfg(**TEXT), quick_gelu=quick).eval()
    assert {name: tuple(value.shape) for name, value in real.state_dict().items()} == shapes()
    real.load_state_dict(drawn())
    done = import_open_clip(saved(tmp_path / "x.pt", real.state_dict()), tmp_path / "clip", activation=activation)
    assert done.both
    assert max(done.differences.values()) < 1e-5
    pixels, ids = torch.randn(2, 3, 35, 35), torch.tensor([[3, 9, 50, 0, 0, 0, 0, 0, 0], [7, 2, 8, 8, 1, 4, 6, 5, 50]])
    seen: list[Tensor] = []
    real.visual.transformer.resblocks[1].register_forward_hook(lambda *call: seen.append(call[2]))
    whole = CLIPModel.from_pretrained(tmp_path / "clip").eval()
    tower = CLIPVisionModel.from_pretrained(tmp_path / "clip").eval()
    with torch.no_grad():
        image = whole.visual_projection(whole.vision_model(pixels).pooler_output)
        text = whole.text_projection(whole.text_model(ids).pooler_output)
        torch.testing.assert_close(image, real.encode_image(pixels), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(text, real.encode_text(ids), atol=1e-5, rtol=1e-4)
        got = tower(pixels, output_hidden_states=True).hidden_states[-2]
        torch.testing.assert_close(got, seen[0], atol=1e-5, rtol=1e-4)
        state = real.state_dict()
        features, before_last = image_features(state, pixels, layers=3, heads=2, activation=activation)
        torch.testing.assert_close(features, image, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(before_last, seen[0], atol=1e-5, rtol=1e-4)
        words = text_features(state, ids, layers=2, heads=1, activation=activation)
        torch.testing.assert_close(words, text, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_a_file_of_open_clip_is_a_vision_tower(tmp_path: Path, activation: str) -> None:
    """P23: ``vision_tower`` takes it as it is; the tower gives what the reference gives."""
    options, state = read_clip(str(saved(tmp_path / "x.pt")), {"hidden_act": activation})
    assert (options["select_layer"], options["num_attention_heads"], options["hidden_act"]) == (-2, 2, activation)
    tower = ClipVisionTower(ClipVisionConfig(**options))
    tower.load_state_dict(state, strict=True)
    pixels = torch.randn(2, 3, 35, 35)
    _, wanted = image_features(drawn(), pixels, layers=3, heads=2, activation=activation)
    with torch.no_grad():
        cls, tokens = tower(pixels)
    torch.testing.assert_close(torch.cat([cls[:, None], tokens], 1), wanted, atol=1e-5, rtol=1e-4)
    import_open_clip(tmp_path / "x.pt", tmp_path / "clip", activation=activation)
    again, converted = read_clip(str(tmp_path / "clip"), {})
    assert again == options
    assert all(torch.equal(converted[name], value) for name, value in state.items())


def ddp(state: dict[str, Tensor]) -> dict[str, Any]:
    """As OpenCLIP's training saves it."""
    return {
        "epoch": 3,
        "name": "run",
        "state_dict": {f"module.{k}": v for k, v in state.items()},
        "optimizer": {"a": 1},
    }


def test_every_container(tmp_path: Path) -> None:
    state = drawn()
    saved(tmp_path / "plain.pt")
    saved(tmp_path / "train.pt", ddp(state))
    saved(tmp_path / "half.pt", {name: value.half() for name, value in state.items()})
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    saved(tmp_path / "openai.pt", {**state, "input_resolution": torch.tensor(35), "context_length": torch.tensor(9)})
    save_file(state, tmp_path / "x.safetensors")
    wanted, _ = to_transformers(state)
    for name in ("plain.pt", "train.pt", "half.pt", "old.pt", "openai.pt", "x.safetensors"):
        out = tmp_path / f"out-{name}"
        done = import_open_clip(tmp_path / name, out, activation="gelu")
        got = load_file(out / "model.safetensors")
        assert got.keys() == wanted.keys()
        dtype = torch.float16 if name == "half.pt" else torch.float32
        assert all(torch.equal(value, wanted[key].to(dtype)) for key, value in got.items()), name
        assert read_json(out / "config.json")["torch_dtype"] == str(dtype).removeprefix("torch.")
        assert (done.activation, done.told_by) == ("gelu", "you")


def test_a_vision_tower_alone(tmp_path: Path) -> None:
    done = import_open_clip(saved(tmp_path / "x.pt", drawn(text=False)), tmp_path / "clip", activation="gelu")
    assert not done.both
    assert set(done.differences) == {"image features", "layer -2"}
    model, report = CLIPVisionModelWithProjection.from_pretrained(tmp_path / "clip", output_loading_info=True)
    assert not report["missing_keys"]
    assert model.config.projection_dim == FEATURES
    bare = {name: value for name, value in drawn(text=False).items() if name != "visual.proj"}
    import_open_clip(saved(tmp_path / "bare.pt", bare), tmp_path / "bare", activation="gelu")
    _, report = CLIPVisionModel.from_pretrained(tmp_path / "bare", output_loading_info=True)
    assert (list(report["missing_keys"]), list(report["unexpected_keys"])) == ([], [])


def open_clip_directory(folder: Path, quick: bool | None, **vision: Any) -> Path:
    folder.mkdir()
    saved(folder / "open_clip_pytorch_model.bin")
    settings = {"embed_dim": FEATURES, "vision_cfg": {**VISION, **vision}, "text_cfg": TEXT}
    config = {"model_cfg": settings if quick is None else {**settings, "quick_gelu": quick}}
    write_json(
        folder / "open_clip_config.json", {**config, "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}}
    )
    (folder / "vocab.json").write_text("{}")
    return folder


def test_a_directory_of_open_clip_tells_its_activation(tmp_path: Path) -> None:
    """By OpenCLIP's own rule: ``quick_gelu`` where it says so, else gelu; heads as it says."""
    quick = open_clip_directory(tmp_path / "quick", True, head_width=32)
    done = import_open_clip(quick, tmp_path / "out")
    assert (done.activation, done.told_by) == ("quick_gelu", "open_clip_config.json")
    vision = read_json(tmp_path / "out" / "config.json")["vision_config"]
    assert (vision["num_attention_heads"], vision["hidden_act"]) == (4, "quick_gelu")
    assert read_json(tmp_path / "out" / "preprocessor_config.json")["image_mean"] == [0.1, 0.2, 0.3]
    assert (tmp_path / "out" / "vocab.json").is_file()
    assert read_json(tmp_path / "out" / "conversion.json")["source"] == "open_clip_pytorch_model.bin"
    options, _ = read_clip(str(open_clip_directory(tmp_path / "plain", None)), {})
    assert (options["hidden_act"], options["num_attention_heads"]) == ("gelu", 2)
    with pytest.raises(CheckpointError, match=r"open_clip_config\.json beside it says quick_gelu, you say gelu"):
        read_clip(str(quick), {"hidden_act": "gelu"})
    with pytest.raises(CheckpointError, match=r"says heads 32 wide, 4 of them, and num_attention_heads says 2"):
        read_clip(str(quick), {"num_attention_heads": 2})


def test_the_activation_is_never_guessed(tmp_path: Path) -> None:
    """P23: the weights are the same under both."""
    path = saved(tmp_path / "mine.pt")
    with pytest.raises(CheckpointError, match=r"weights do not tell the activation.*--activation quick_gelu or gelu"):
        import_open_clip(path, tmp_path / "out")
    with pytest.raises(CheckpointError, match=r"vision_config: \{hidden_act: quick_gelu\} in a training configuration"):
        read_clip(str(path), {})
    with pytest.raises(CheckpointError, match=r"activation 'relu' of .*mine\.pt is not one of quick_gelu, gelu"):
        read_clip(str(path), {"hidden_act": "relu"})
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A file with all tensors of an architecture, of which none takes memory."""

    def write(path: Path, name: str) -> Path:
        size = ARCHITECTURES[name]
        sizes = {"width": size.width, "layers": size.layers, "patch": size.patch_size, "image": size.image_size}
        state = {n: torch.zeros(()).expand(shape) for n, shape in shapes(**sizes, features=size.projection_dim).items()}
        monkeypatch.setattr("pathplugins.models.towers.open_clip_checkpoint.file_weights", lambda _: state)
        return path

    return write


def test_published_files_are_known_by_name_and_shape(tmp_path: Path, empty: Callable[..., Path]) -> None:
    """P24: what runs each is one row; the README calls both ViT-B-16, and B's sources contradict each other."""
    large = read_open_clip(empty(tmp_path / "pathgen-clip-l.pt", "ViT-L-14-336"))
    assert (large.architecture, large.vision["hidden_act"]) == ("ViT-L-14-336", "quick_gelu")
    assert (large.vision["num_attention_heads"], large.vision["image_size"], large.projection_dim) == (16, 336, 768)
    assert "force_quick_gelu" in large.told_by
    check_architecture(large, "ViT-L/14@336px")
    with pytest.raises(CheckpointError, match=r"no ViT-B-16: .*ViT-L-14-336 \(24 layers of .* ViT-B-16 has 12 lay"):
        check_architecture(large, "ViT-B-16")
    with pytest.raises(CheckpointError, match=r"--arch ViT-X-1 is not known; known are ViT-B-32, ViT-B-16"):
        check_architecture(large, "ViT-X-1")
    for name in ("pathgenclip.pt", "pathgen-clip.pt"):
        base = empty(tmp_path / name, "ViT-B-16")
        with pytest.raises(
            CheckpointError, match=rf"{name} \(ViT-B-16\): .* known of pathgen-clip: gelu: its model card"
        ):
            read_open_clip(base)
        assert read_open_clip(base, activation="gelu").vision["num_attention_heads"] == 12
    wrong = empty(tmp_path / "pathgen-clip-l.pt", "ViT-B-16")
    with pytest.raises(CheckpointError, match=r"has the name of a published ViT-L-14-336 \(.* weights have 12 layers"):
        read_open_clip(wrong)
    assert read_open_clip(empty(tmp_path / "x.pt", "ViT-H-14"), activation="gelu").vision["num_attention_heads"] == 16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visual.ln_pre.bias": None}, r"1 weights missing \(vision_model\.pre_layrnorm\.bias\), 0 unexpected"),
        (
            {"transformer.resblocks.1.ln_2.bias": None},
            r"1 weights missing \(text_model\.encoder\.layers\.1\.layer_norm2",
        ),
        ({"visual.positional_embedding": None}, r"of its 73 tensors, visual\.positional_embedding is missing"),
        ({"visual.conv1.weight": (4, 4)}, r"of its 74 tensors, visual\.conv1\.weight is missing or of a wrong"),
        ({"visual.positional_embedding": (25, 128)}, r"has 25 positions, wanted one more than a square number"),
        (
            {"visual.transformer.resblocks.0.ls_1.gamma": (128,)},
            r"1 of its 75 tensors have no place in CLIP: visual\.t",
        ),
        ({"logit_bias": ()}, r"1 of its 75 tensors have no place in CLIP: logit_bias; it is a different kind of model"),
        ({"visual.ln_post.weight": (64,)}, r"1 of another shape \(.*post_layernorm\.weight"),
        ({"visual.ln_pre.weight": "nan"}, r"largest differences \{'image features': nan.*Are there NaNs in"),
    ],
)
def test_another_kind_of_model_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    state = drawn()
    for name, shape in change.items():
        if shape is None:
            del state[name]
        else:
            state[name] = torch.full((128,), float("nan")) if shape == "nan" else torch.zeros(shape)
    with pytest.raises(CheckpointError, match=message):
        import_open_clip(saved(tmp_path / "x.pt", state), tmp_path / "out", activation="gelu")
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]


def test_files_that_are_none_of_open_clip(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pt", {"visual.trunk.blocks.0.norm1.weight": torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r"among 1 tensors, found a timm model, and only OpenCLIP's own vision"):
        import_open_clip(path, tmp_path / "out")
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(CheckpointError, match=r"wanted a dictionary of tensors, got a Python object"):
        import_open_clip(path, tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(PathPluginsError, match="out exists and is not an empty directory"):
        import_open_clip(saved(path), tmp_path / "out")


def test_a_conversion_that_computes_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check is worth something: query and value exchanged, every shape is right and every number wrong."""

    def exchanged(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        renamed, strange = to_transformers(state)
        other = {"q_proj": "v_proj", "v_proj": "q_proj"}
        return {re.sub("[qv]_proj", lambda found: other[found[0]], n): v for n, v in renamed.items()}, strange

    monkeypatch.setattr("pathplugins.models.foreign.open_clip.convert.to_transformers", exchanged)
    with pytest.raises(CheckpointError, match=r"computes other values than the weights it is made of.*nothing was wr"):
        import_open_clip(saved(tmp_path / "x.pt"), tmp_path / "out", activation="gelu")
    assert not (tmp_path / "out").exists()
