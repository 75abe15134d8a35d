"""Quilt-LLaVA's checkpoint: the projector tells the tower; what does not fit is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import llava_parts as parts
import pytest
import torch
from tiny_open_clip import write_open_clip

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.foreign.quilt_llava.read import import_quilt_llava
from pathplugins.published.quilt_llava import CLIP_L_336, QUILTNET_B_32

B_32 = {"hidden_size": 768, "num_attention_heads": 12, "image_size": 224, "patch_size": 32, "num_hidden_layers": 2}
L_14 = {"hidden_size": 1024, "num_attention_heads": 16, "image_size": 336, "patch_size": 14, "num_hidden_layers": 2}
OPENAI = CLIP_L_336.hub_id


@pytest.fixture(scope="module")
def llm(make_llm: Callable[..., Path]) -> Path:
    return make_llm(tied=False, rope_theta=500_000.0)


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two layers of each tower, and of two that are as wide and see another number of places."""
    root = tmp_path_factory.mktemp("towers")
    other = {**B_32, "patch_size": 16}
    smaller = {**L_14, "image_size": 224}
    named = {"QuiltNet-B-32": B_32, "clip-l-336": L_14, "clip-b-16": other, "clip-l-224": smaller}
    return {name: parts.clip_directory(root / name, **shape) for name, shape in named.items()}


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, llm: Path, towers: dict[str, Path]) -> Path:
    """As released: two .bin shards, the tower inside, mm_projector.bin beside, and another tower in config.json."""
    folder = tmp_path_factory.mktemp("quilt") / "Quilt-Llava-v1.5-7b"
    parts.original(
        folder, llm, tower=towers["clip-l-336"], width=1024, mm_vision_tower=QUILTNET_B_32.hub_id, dtype=torch.bfloat16
    )
    torch.save(parts.connector_state(width=1024), folder / "mm_projector.bin")
    return folder


def copy(source: Path, out: Path, **config: Any) -> Path:
    out.mkdir()
    for path in source.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    write_json(out / "config.json", {**read_json(source / "config.json"), **config})
    return out


def test_the_released_files_bit_for_bit_whatever_config_json_names(
    tmp_path: Path, released: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = import_quilt_llava(released, tmp_path / "out")
    assert "rounded" not in caplog.text, "nothing was"
    assert any("CLIP ViT-L/14-336, by the 1024 columns of mm_projector.0.weight: 576 tokens" in line for line in said)
    assert "config.json names wisdomik/QuiltNet-B-32, which its weights contradict" in said
    config = read_json(tmp_path / "out" / "config.json")
    assert (config["vision_config"]["hidden_act"], config["vision_config"]["select_layer"]) == ("quick_gelu", -2)
    assert read_json(tmp_path / "out" / "preprocessor_config.json")["image_aspect_ratio"] == "pad"
    assert read_json(tmp_path / "out" / "preprocessor_config.json")["tokens_per_tile"] == 576
    got, wanted = parts.state_of(tmp_path / "out"), parts.state_of(released)
    count = 0
    for name, value in wanted.items():
        if "mm_projector" in name or name.startswith(("model.layers.", "model.embed", "model.norm", "lm_head")):
            ours = name.replace("model.mm_projector.0.", "multi_modal_projector.linear_1.")
            ours = ours.replace("model.mm_projector.2.", "multi_modal_projector.linear_2.")
            if "inv_freq" not in name:
                assert torch.equal(got[ours], value), name
                count += 1
    assert count == 21 + 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_quiltnet_beside_it_computes_what_llava_computes(
    tmp_path: Path, llm: Path, towers: dict[str, Path], load: Callable[..., Any]
) -> None:
    tower = towers["QuiltNet-B-32"]
    source = parts.original(tmp_path / "quilt", llm, width=768, mm_vision_tower=OPENAI)
    with pytest.raises(
        CheckpointError, match=r"QuiltNet-B-32 fits \(its config\.json names openai/.*-336\), and no wei"
    ):
        import_quilt_llava(source, tmp_path / "out")
    said = import_quilt_llava(source, tmp_path / "out", vision_tower=tower, image_aspect_ratio="square")
    assert any("QuiltNet-B-32, by the 768 columns" in line and str(tower) in line for line in said)
    assert any("images are cut to their middle" in line for line in said)
    assert read_json(tmp_path / "out" / "preprocessor_config.json")["image_aspect_ratio"] == "square"
    ids, _ = parts.inputs(source)
    pixels = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(8))
    wanted = parts.llava_logits(source, tower, ids, pixels)
    model = load(tmp_path / "out")
    tokens = parts.with_tokens(ids, model.config.image_token_id, count=49)
    with torch.no_grad():
        got = model(input_ids=tokens, pixel_values=pixels, tile_counts=torch.tensor([1])).logits[0]
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("width", "tower", "said"),
    [
        (1024, "QuiltNet-B-32", r"reads tokens 1024 wide, so that CLIP ViT-L/14-336 fits \(576 .* 49 tokens 768 wide"),
        (
            768,
            "clip-l-336",
            r"768 wide, so that QuiltNet-B-32 fits \(49 .*576 tokens 1024 wide; give --vision-tower wis",
        ),
        (768, "clip-b-16", r"QuiltNet-B-32 fits \(49 tokens an image\), and .*clip-b-16 gives 196 tokens 768 wide"),
        (1024, "clip-l-224", r"CLIP ViT-L/14-336 fits .*clip-l-224 gives 256 tokens 1024 wide"),
        (640, "clip-l-336", r"reads tokens 640 wide, Quilt-LLaVA's towers give 768 of QuiltNet-B-32 or 1024 of CLIP"),
    ],
)
def test_a_tower_that_does_not_fit(
    tmp_path: Path, llm: Path, towers: dict[str, Path], width: int, tower: str, said: str
) -> None:
    source = parts.original(tmp_path / "quilt", llm, width=width)
    with pytest.raises(CheckpointError, match=said):
        import_quilt_llava(source, tmp_path / "out", vision_tower=towers[tower])
    named = copy(source, tmp_path / "named", mm_vision_tower=str(towers[tower]))
    with pytest.raises(CheckpointError, match=said.replace(" gives ", ", which its config.json names, gives ")):
        import_quilt_llava(named, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_of_two_models_in_one_folder(tmp_path: Path, llm: Path, towers: dict[str, Path]) -> None:
    source = parts.original(tmp_path / "quilt", llm, tower=towers["QuiltNet-B-32"], width=1024)
    with pytest.raises(CheckpointError, match="gives 49 tokens 768 wide: files of two models lie together"):
        import_quilt_llava(source, tmp_path / "out", vision_tower=towers["clip-l-336"])


def test_the_activation_of_quiltnet(tmp_path: Path, llm: Path, towers: dict[str, Path]) -> None:
    """Its repository holds OpenCLIP's files and Transformers'; Quilt-LLaVA's code reads the latter."""
    source = parts.original(tmp_path / "quilt", llm, width=768)
    both = copy(towers["QuiltNet-B-32"], tmp_path / "both")
    write_json(both / "open_clip_config.json", {"model_cfg": {"embed_dim": 512}})
    said = import_quilt_llava(source, tmp_path / "one", vision_tower=both)
    assert any("quick_gelu is that of config.json, as in Quilt-LLaVA's code; open_clip_config.json" in s for s in said)
    assert read_json(tmp_path / "one" / "config.json")["vision_config"]["hidden_act"] == "quick_gelu"
    alone = tmp_path / "alone"
    alone.mkdir()
    write_open_clip(alone / "open_clip_pytorch_model.bin", width=768, layers=2, patch=32, side=7)
    said = import_quilt_llava(source, tmp_path / "two", vision_tower=alone)
    assert any("quick_gelu is that of open_clip_config.json; Quilt-LLaVA's code reads config.json" in s for s in said)
    inside = parts.original(tmp_path / "inside", llm, tower=towers["QuiltNet-B-32"], width=768)
    with pytest.raises(CheckpointError, match=r"do not tell the activation: give --vision-tower wisdomik/.*, or --act"):
        import_quilt_llava(inside, tmp_path / "three")
    import_quilt_llava(inside, tmp_path / "three", activation="gelu")
    assert read_json(tmp_path / "three" / "config.json")["vision_config"]["hidden_act"] == "gelu"


def test_what_is_no_checkpoint_of_it(tmp_path: Path, released: Path) -> None:
    file = released / "pytorch_model-00001-of-00002.bin"
    for place in (file, tmp_path):
        with pytest.raises(CheckpointError, match=r"no directory of LLaVA .* is behind a form: accept it on its page"):
            import_quilt_llava(place, tmp_path / "out")
    partial = copy(released, tmp_path / "partial")
    (partial / file.name).unlink()
    with pytest.raises(CheckpointError, match=r"1 of the 2 files named in .* are not there: pytorch_model-00001"):
        import_quilt_llava(partial, tmp_path / "out")
    (partial / file.name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(CheckpointError, match="a Git LFS pointer, not the weights"):
        import_quilt_llava(partial, tmp_path / "out")
    (partial / file.name).write_text("<!DOCTYPE html><html>Access to this model is restricted</html>")
    with pytest.raises(CheckpointError, match=r"an HTML page .* accept the terms of a gated model"):
        import_quilt_llava(partial, tmp_path / "out")
    cloned = copy(released, tmp_path / "cloned")
    (cloned / "tokenizer.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(CheckpointError, match=r"cloned/tokenizer\.json is a Git-LFS pointer"):
        import_quilt_llava(cloned, tmp_path / "out")
    assert not (tmp_path / "out").exists()
