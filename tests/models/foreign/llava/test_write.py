"""Our models as LLaVA checkpoints that others load: same logits, same bits, or a clear refusal (features P22, P29)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import llava_parts as parts
import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor, AutoTokenizer, CLIPVisionModel, LlavaForConditionalGeneration

from pathplugins import cli
from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.core.versions import release
from pathplugins.models.foreign.llava.projector import export_projector
from pathplugins.models.foreign.llava.read import import_llava
from pathplugins.models.foreign.llava.write import export_llava

FITS = {
    "vision_model_name": "clip",
    "mm_projector_type": "mlp2x_gelu",
    "projector_config": {},
    "vision_feature_select_mode": "none",
    "image_aspect_ratio": "pad",
    "random_vision_seed": None,
    "vision_config": {},
    "image_seq_length": 1536,
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parts.clip_directory(tmp_path_factory.mktemp("clip") / "clip")


@pytest.fixture(scope="module")
def vicuna(tmp_path_factory: pytest.TempPathFactory, make_llm: Callable[..., Path]) -> Path:
    """No vocabulary entry to spare, a base of its own, untied."""
    return parts.without_reserved(make_llm(tied=False, rope_theta=500_000.0), tmp_path_factory.mktemp("vicuna") / "llm")


@pytest.fixture(scope="module")
def make(make_vlm: Callable[..., Path], clip: Path) -> Callable[..., Path]:
    return lambda llm, **changes: make_vlm(llm, **{**FITS, "vision_tower": str(clip), **changes})


def our_logits(model: Any, ids: Tensor, pixels: Tensor) -> Tensor:
    tokens = parts.with_tokens(ids, model.config.image_token_id)
    with torch.no_grad():
        return model(input_ids=tokens, pixel_values=pixels, tile_counts=torch.tensor([1])).logits[0]


def same_weights(one: Path, other: Path) -> bool:
    a, b = parts.state_of(one), parts.state_of(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("case", ["behind the embedding", "in the vocabulary", "tied"])
def test_transformers_loads_it_and_computes_the_same(
    tmp_path: Path,
    make_llm: Callable[..., Path],
    vicuna: Path,
    make: Callable[..., Path],
    load: Callable[..., Any],
    case: str,
) -> None:
    """P29: the class of Transformers alone, an image and a text; back again, each bit is as it was."""
    llm = {"behind the embedding": vicuna, "in the vocabulary": make_llm(tied=False), "tied": make_llm()}[case]
    model = make(llm)
    config = export_llava(model, tmp_path / "hf", "hf-llava", shard_bytes=500_000)
    assert len(list((tmp_path / "hf").glob("model-*.safetensors"))) > 1
    theirs, report = LlavaForConditionalGeneration.from_pretrained(
        tmp_path / "hf", torch_dtype=torch.float32, output_loading_info=True
    )
    assert [list(report[name]) for name in ("missing_keys", "unexpected_keys", "mismatched_keys")] == [[], [], []]
    mine = load(model)
    ids, pixels = parts.inputs(model)
    tokens = parts.with_tokens(ids, config["image_token_index"])
    with torch.no_grad():
        got = theirs.eval()(input_ids=tokens, pixel_values=pixels, attention_mask=tokens * 0 + 1).logits[0]
    wanted = our_logits(mine, ids, pixels)
    rows = wanted.shape[1]
    torch.testing.assert_close(got[:, :rows], wanted, atol=1e-4, rtol=1e-4)
    assert got.shape[1] == (rows + 1 if case == "behind the embedding" else rows)
    assert (got[:, rows:] < got[:, :rows].max(1, keepdim=True).values).all()  # never what the model says
    done = import_llava(tmp_path / "hf", tmp_path / "back")
    assert done.layout == "hf-llava"
    assert same_weights(model, tmp_path / "back")
    assert read_json(tmp_path / "back" / "config.json")["image_token_id"] == mine.config.image_token_id
    again = load(tmp_path / "back")
    assert torch.equal(our_logits(again, ids, pixels), wanted)
    text = read_json(tmp_path / "hf" / "config.json")["text_config"]
    assert text["rope_theta"] == (500_000.0 if llm == vicuna else 10_000.0)


@pytest.mark.skipif(release(transformers.__version__) < (4, 49), reason="Transformers has no LlavaImageProcessor")
def test_its_processor_counts_and_pads_as_ours(tmp_path: Path, vicuna: Path, make: Callable[..., Path]) -> None:
    """Up to Transformers 4.48 the image processor's class is unknown: an error, where CLIP's would crop silently."""
    model = make(vicuna)
    export_llava(model, tmp_path / "hf", "hf-llava")
    theirs, mine = AutoProcessor.from_pretrained(tmp_path / "hf"), AutoProcessor.from_pretrained(model)
    side = np.linspace(0, 255, 61 * 39 * 3).reshape(39, 61, 3).astype(np.uint8)
    picture = Image.fromarray(side)
    got = theirs(text="What is <image> here?", images=picture, return_tensors="pt")
    wanted = mine("What is <image> here?", [picture])
    assert type(theirs).__name__ == "LlavaProcessor"
    assert got["input_ids"].tolist() == wanted["input_ids"].tolist()
    assert (got["pixel_values"] - wanted["pixel_values"]).abs().mean() < 0.02


@pytest.mark.parametrize("kind", ["mlp2x_gelu", "linear"])
def test_the_original_reads_it(
    tmp_path: Path, vicuna: Path, make: Callable[..., Path], load: Callable[..., Any], kind: str
) -> None:
    """P22, P29: its names, its settings, its tower by a path; the same logits by what it computes."""
    model = make(vicuna, mm_projector_type=kind)
    config = export_llava(model, tmp_path / "llava", "llava")
    assert (config["model_type"], config["architectures"]) == ("llava_llama", ["LlavaLlamaForCausalLM"])
    said = {name: config[name] for name in parts.LLAVA if name.startswith("mm_") or name == "image_aspect_ratio"}
    assert said == {
        **{name: value for name, value in parts.LLAVA.items() if name in said},
        "mm_projector_type": kind,
        "mm_vision_select_layer": -1,  # of a tower that ends where the model reads
    }
    tower = Path(config["mm_vision_tower"])
    assert tower == tmp_path / "llava" / "vision_tower"
    assert len(AutoTokenizer.from_pretrained(tmp_path / "llava")) == config["vocab_size"]
    _, report = CLIPVisionModel.from_pretrained(tower, output_loading_info=True)
    assert not report["missing_keys"]
    norm = {name.split(".")[-1]: v for name, v in parts.state_of(tower).items() if "post_layernorm" in name}
    assert (norm["weight"] == 1).all()
    assert (norm["bias"] == 0).all()
    names = parts.state_of(tmp_path / "llava").keys()
    places = ("0.", "2.") if kind == "mlp2x_gelu" else ("",)
    connector = {f"model.mm_projector.{place}{part}" for place in places for part in ("weight", "bias")}
    assert {name for name in names if "mm_projector" in name} == connector
    assert not [name for name in names if "vision" in name]
    mine = load(model)
    ids, pixels = parts.inputs(model)
    got = parts.llava_logits(tmp_path / "llava", tower, ids, pixels)
    torch.testing.assert_close(got, our_logits(mine, ids, pixels), atol=1e-4, rtol=1e-4)
    import_llava(tmp_path / "llava", tmp_path / "back")
    assert same_weights(model, tmp_path / "back")


def test_there_and_back_from_the_original(tmp_path: Path, vicuna: Path, clip: Path) -> None:
    """P29: an original's names and bits come out as they went in, with its own tower named again."""
    source = parts.original(tmp_path / "llava", vicuna)
    import_llava(source, tmp_path / "ours", vision_tower=str(clip))
    config = export_llava(tmp_path / "ours", tmp_path / "again", "llava", vision_tower=str(clip))
    assert (config["mm_vision_tower"], config["mm_vision_select_layer"]) == (str(clip), -2)
    assert not (tmp_path / "again" / "vision_tower").exists()
    before, after = parts.state_of(source), parts.state_of(tmp_path / "again")
    del before["model.layers.0.self_attn.rotary_emb.inv_freq"]
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    told = read_json(source / "config.json")
    for name in ("model_type", "mm_vision_tower", "max_length", "tokenizer_model_max_length", "transformers_version"):
        told.pop(name)
    assert {name: config.get(name) for name in told} == told


def test_another_tower_is_not_named(tmp_path: Path, vicuna: Path, make: Callable[..., Path]) -> None:
    other = parts.clip_directory(tmp_path / "other", seed=2, hidden_act="gelu")
    with pytest.raises(CheckpointError, match=r"other is not the tower of .*: 37 of 37 .* settings: hidden_act;"):
        export_llava(make(vicuna), tmp_path / "llava", "llava", vision_tower=str(other))
    with pytest.raises(PathPluginsError, match=r"--vision-tower some/clip is no directory"):
        export_llava(make(vicuna), tmp_path / "llava", "llava", vision_tower="some/clip")
    with pytest.raises(PathPluginsError, match=r"leave it out, hf-llava holds its tower itself"):
        export_llava(make(vicuna), tmp_path / "llava", "hf-llava", vision_tower=str(other))
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_all_that_does_not_fit_is_named(
    tmp_path: Path, make_llm: Callable[..., Path], make: Callable[..., Path], vlm: Path, make_vlm: Any, pallava: Any
) -> None:
    slides = (
        r"tower is longnet_vit, wanted clip; its connector is gamma_mlp, wanted mlp2x_gelu or linear; its token .*none$"
    )
    with pytest.raises(CheckpointError, match=slides):
        export_llava(vlm, tmp_path / "out", "llava")
    with pytest.raises(CheckpointError, match=r"connector is scale_invariant, .*; its image_aspect_ratio is anyres"):
        export_llava(make_vlm(None, **pallava), tmp_path / "out", "hf-llava")
    with pytest.raises(CheckpointError, match=r"as --to hf-llava needs it: its connector is linear, wanted mlp2x_"):
        export_llava(make(None, mm_projector_type="linear"), tmp_path / "out", "hf-llava")
    qwen = make(make_llm(model_type="qwen2", tied=False), use_prefix_lm_mask=True)
    with pytest.raises(CheckpointError, match=r"use_prefix_lm_mask is on; its language model is a qwen2, wanted"):
        export_llava(qwen, tmp_path / "out", "llava")
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling["original_max_position_embeddings"] = 2048
    scaled = make(make_llm(tied=False, rope_scaling=scaling))
    with pytest.raises(CheckpointError, match=r"its rope_scaling .*llama3.* is newer than the Transformers 4\.37"):
        export_llava(scaled, tmp_path / "out", "llava")
    assert not any(tmp_path.iterdir())


def test_directories_that_are_not_whole(tmp_path: Path, make: Callable[..., Path], vicuna: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for path in make(vicuna).iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    with pytest.raises(PathPluginsError, match="model exists and is not an empty directory"):
        export_llava(model, model, "llava")
    index = read_json(model / "model.safetensors.index.json")
    del index["weight_map"]["multi_modal_projector.linear_2.bias"]
    write_json(model / "model.safetensors.index.json", index)
    with pytest.raises(CheckpointError, match=r"61 tensors read, 62 wanted: 1 missing \(multi_modal_projector\.l"):
        export_llava(model, tmp_path / "out", "llava")
    write_json(model / "config.json", {"model_type": "llama"})
    with pytest.raises(CheckpointError, match="is a llama, wanted a custom_llava directory"):
        export_llava(model, tmp_path / "out", "llava")
    (model / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"holds no preprocessor_config\.json; give a whole model directory"):
        export_llava(model, tmp_path / "out", "llava")
    assert not (tmp_path / "out").exists()


def test_connectors_that_llava_has_not(tmp_path: Path, vlm: Path, make: Callable[..., Path], vicuna: Path) -> None:
    with pytest.raises(CheckpointError, match=r"a connector with 9 weights \(linear_1\.bias, .*\) is neither"):
        export_projector(vlm, tmp_path / "mm_projector.bin")
    with pytest.raises(PathPluginsError, match=r"--out .*folder: a connector is written to one file.* ending in \.bin"):
        export_projector(make(vicuna), tmp_path / "folder")
    export_projector(make(vicuna), tmp_path / "mm_projector.bin")
    with pytest.raises(PathPluginsError, match=r"mm_projector\.bin exists; choose another --out"):
        export_projector(make(vicuna), tmp_path / "mm_projector.bin")


def test_by_command(
    tmp_path: Path, vicuna: Path, clip: Path, picture: Callable[..., Image.Image], capsys: pytest.CaptureFixture[str]
) -> None:
    """P29: in, asked, out to both, with what was found and written said."""
    source = parts.original(tmp_path / "llava", vicuna, tower=clip)
    picture(37, 44).save(tmp_path / "x.png")
    ours = str(tmp_path / "ours")
    assert cli.main(["import-weights", str(source), "--out", ours, "--vision-tower", str(clip)]) == 0
    said = capsys.readouterr().out
    assert "LLaVA v1.5, tensors: 21 of the language model, 4 of the connector, 55 of the vision tower; float16" in said
    assert f"vision tower from {clip}, the same as in the checkpoint, hidden state -2; connector mlp2x_gelu" in said
    assert "was given LLaVA's v1" in said
    ask = ["ask", ours, "--image", str(tmp_path / "x.png"), "--question", "What?", "--max-new-tokens", "2"]
    assert cli.main([*ask, "--device", "cpu"]) == 0
    capsys.readouterr()
    assert cli.main(["export-weights", ours, "--to", "llava", "--out", str(tmp_path / "a")]) == 0
    assert f"its vision tower read from {tmp_path / 'a' / 'vision_tower'}" in capsys.readouterr().out
    assert cli.main(["export-weights", ours, "--to", "hf-llava", "--out", str(tmp_path / "b")]) == 0
    assert "load it with transformers.LlavaForConditionalGeneration" in capsys.readouterr().out
