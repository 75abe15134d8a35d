"""LLaVA v1.5 checkpoints of every origin become the same model (features P22, P29)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import llava_parts as parts
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoTokenizer, CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from pathplugins.core.errors import CheckpointError, MissingDependencyError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.data.prompts import LLAVA_SYSTEM_PROMPT
from pathplugins.models.compose.tiny_llm import build_tiny_llm
from pathplugins.models.foreign.llava.read import import_llava


@pytest.fixture(scope="module")
def llm(make_llm: Callable[..., Path]) -> Path:
    return make_llm(tied=False, rope_theta=500_000.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parts.clip_directory(tmp_path_factory.mktemp("clip") / "clip")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, llm: Path, clip: Path) -> Path:
    """The original's, with its vision tower inside; tests that change it copy it."""
    return parts.original(tmp_path_factory.mktemp("llava") / "llava", llm, tower=clip)


def copy(source: Path, out: Path, **config: Any) -> Path:
    out.mkdir()
    for path in source.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    write_json(out / "config.json", {**read_json(source / "config.json"), **config})
    return out


def ours(name: str) -> str:
    """Our name of a tensor of the original."""
    name = name.replace("model.vision_tower.vision_tower.vision_model.", "vision_tower.")
    for theirs, mine in (("0.", "linear_1."), ("2.", "linear_2."), ("", "linear_1.")):
        name = name.replace(f"model.mm_projector.{theirs}", f"multi_modal_projector.{mine}")
    return name


def bits_are_kept(source: Path, out: Path) -> int:
    """Count of tensors, each the same in both; what we do not build or store is left out."""
    got = parts.state_of(out)
    wanted = {ours(name): value for name, value in parts.state_of(source).items()}
    skipped = {"model.layers.0.self_attn.rotary_emb.inv_freq"}
    skipped |= {name for name in wanted if "encoder.layers.2." in name or "post_layernorm" in name}
    assert got.keys() - wanted.keys() <= {name for name in got if name.startswith("vision_tower.")}
    for name in wanted.keys() - skipped:
        assert torch.equal(got[name], wanted[name]), name
    return len(wanted.keys() - skipped)


def logits(model: Any, ids: Tensor, pixels: Tensor) -> Tensor:
    tokens = parts.with_tokens(ids, model.config.image_token_id)
    with torch.no_grad():
        return model(input_ids=tokens, pixel_values=pixels, tile_counts=torch.tensor([1])).logits[0]


@pytest.mark.parametrize("kind", ["mlp2x_gelu", "linear"])
def test_the_original_bit_for_bit_and_by_its_own_forward(
    tmp_path: Path, llm: Path, clip: Path, load: Callable[..., Any], kind: str
) -> None:
    """P29: half precision, two ``.bin`` shards, buffers of old versions, the tower in a directory of its own."""
    source = parts.original(tmp_path / "llava", llm, mm_projector_type=kind)
    done = import_llava(source, tmp_path / "out", vision_tower=str(clip), shard_bytes=100_000)
    assert (done.layout, done.dtype, done.connector, done.tower) == ("llava", "float16", kind, str(clip))
    assert bits_are_kept(source, tmp_path / "out") == 21 + (4 if kind == "mlp2x_gelu" else 2)
    assert len(list((tmp_path / "out").glob("llm-*.safetensors"))) > 1
    assert not [path for path in (tmp_path / "out").iterdir() if path.is_symlink()]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["llava", "out"]
    config = read_json(tmp_path / "out" / "config.json")
    assert config["vision_feature_select_mode"] == "none"
    assert config["vision_config"]["select_layer"] == -2
    assert not [name for name in config["text_config"] if name.startswith("mm_")]
    assert read_json(tmp_path / "out" / "preprocessor_config.json")["image_aspect_ratio"] == "pad"
    ids, pixels = parts.inputs(source)
    wanted = parts.llava_logits(source, clip, ids, pixels)
    got = logits(load(tmp_path / "out"), ids, pixels)
    assert got.shape == (len(ids) - 1 + parts.TOKENS, wanted.shape[1])
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_the_tower_inside(tmp_path: Path, checkpoint: Path, clip: Path, load: Callable[..., Any]) -> None:
    """P29: as published, the weights of the frozen tower lie in the checkpoint; nothing tells their activation."""
    with pytest.raises(CheckpointError, match=r"'some/clip' is not there, and .* do not tell the activation: give"):
        import_llava(checkpoint, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    done = import_llava(checkpoint, tmp_path / "out", activation="quick_gelu")
    assert done.counts == {"language model": 21, "connector": 4, "vision tower": 55}
    assert done.tower == "the checkpoint"
    assert bits_are_kept(checkpoint, tmp_path / "out") == 21 + 4 + 37
    vision = read_json(tmp_path / "out" / "config.json")["vision_config"]
    own = {"select_layer": -2, "looks_ahead": False}
    assert vision == {"model_type": "clip", "num_channels": 3, "layer_norm_eps": 1e-5, **own, **parts.CLIP}
    ids, pixels = parts.inputs(checkpoint)
    wanted = parts.llava_logits(checkpoint, clip, ids, pixels)
    torch.testing.assert_close(logits(load(tmp_path / "out"), ids, pixels), wanted, atol=1e-4, rtol=1e-4)


def test_openais_towers_are_known_and_uploaded_ones_found(tmp_path: Path, checkpoint: Path, clip: Path) -> None:
    openai = copy(checkpoint, tmp_path / "openai", mm_vision_tower="openai/clip-vit-large-patch14-336")
    import_llava(openai, tmp_path / "one")
    assert read_json(tmp_path / "one" / "config.json")["vision_config"]["hidden_act"] == "quick_gelu"
    beside = copy(checkpoint, tmp_path / "beside", mm_vision_tower="/home/author/checkpoints/pathgen_clip")
    copy(clip, beside / "pathgen_clip")
    done = import_llava(beside, tmp_path / "two")
    assert done.tower == f"{beside / 'pathgen_clip'}, the same as in the checkpoint"


def test_another_tower_than_the_one_inside(tmp_path: Path, checkpoint: Path) -> None:
    other = parts.clip_directory(tmp_path / "other", seed=1)
    with pytest.raises(CheckpointError, match=r"other is not the vision tower of .*: 37 of 37 tensors differ"):
        import_llava(checkpoint, tmp_path / "out", vision_tower=str(other))
    trained = copy(checkpoint, tmp_path / "trained", unfreeze_mm_vision_tower=True)
    done = import_llava(trained, tmp_path / "out", vision_tower=str(other))
    assert done.tower == f"the checkpoint, trained along (settings of {other})"
    assert bits_are_kept(trained, tmp_path / "out") == 62


def test_a_tower_in_full_precision_is_the_one_inside(tmp_path: Path, llm: Path, clip: Path) -> None:
    """Published towers are float32, the copy in a checkpoint is half of it."""
    full = copy(clip, tmp_path / "full")
    state = {name: value + 1e-5 for name, value in load_file(full / "model.safetensors").items()}
    save_file(state, full / "model.safetensors", {"format": "pt"})
    assert any(not torch.equal(value, value.half().float()) for value in state.values())
    source = parts.original(tmp_path / "llava", llm, tower=full)
    done = import_llava(source, tmp_path / "out", vision_tower=str(full))
    assert done.tower.endswith("the same as in the checkpoint")
    assert bits_are_kept(source, tmp_path / "out") == 62


def test_a_tower_that_is_nowhere(tmp_path: Path, llm: Path) -> None:
    source = parts.original(tmp_path / "llava", llm, mm_vision_tower="openai/clip-vit-large-patch14-336")
    with pytest.raises(CheckpointError, match=r"no weights of its vision tower, and 'openai/clip-.*-336', .* fetch it"):
        import_llava(source, tmp_path / "out")


@pytest.fixture(scope="module")
def transformers_llava(llm: Path) -> LlavaForConditionalGeneration:
    """With the language model of ``llm``'s size and a connector and a tower of their own."""
    torch.manual_seed(11)
    text = LlamaConfig.from_pretrained(llm)
    vision = CLIPVisionConfig(**parts.CLIP)
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=6, tie_word_embeddings=False)
    model = LlavaForConditionalGeneration(config).eval()
    with torch.no_grad():
        for value in model.parameters():
            value += 0.05 * torch.randn(value.shape)
    return model


def in_transformers_layout(folder: Path, model: LlavaForConditionalGeneration, llm: Path, layout: str) -> Path:
    """As this version saves it, or with the names by hand."""
    model.save_pretrained(folder, max_shard_size="500KB")
    for path in llm.iterdir():
        if "token" in path.name:
            (folder / path.name).write_bytes(path.read_bytes())
    write_json(folder / "preprocessor_config.json", {"image_processor_type": "LlavaImageProcessor", "do_pad": True})
    if layout != "saved":
        state = {standard(name): value for name, value in parts.state_of(folder).items()}
        for path in folder.glob("*.safetensors*"):
            path.unlink()
        if layout == "new":
            state = {f"model.{name}".replace("model.lm_head", "lm_head"): value for name, value in state.items()}
        else:
            state = {
                name.replace("language_model.", "language_model.model.") if "language" in name else name: value
                for name, value in state.items()
            }
            state["language_model.lm_head.weight"] = state.pop("lm_head.weight")
        save_file(
            {name: value.clone() for name, value in state.items()}, folder / "model.safetensors", {"format": "pt"}
        )
    return folder


def standard(name: str) -> str:
    """``language_model.layers...``, ``lm_head...``, ``vision_tower...``, whatever the version says."""
    name = name.replace("language_model.model.", "language_model.").replace("language_model.lm_head", "lm_head")
    return name.removeprefix("model.")


@pytest.mark.parametrize("layout", ["saved", "old", "new"])
def test_transformers_llava_in_every_layout(
    tmp_path: Path, llm: Path, transformers_llava: Any, load: Callable[..., Any], layout: str
) -> None:
    """P29: the names of Transformers 4.48 and those since 4.52; the same logits on an image and a text."""
    source = in_transformers_layout(tmp_path / "hf", transformers_llava, llm, layout)
    done = import_llava(source, tmp_path / "out")
    assert (done.layout, done.counts["connector"], done.counts["language model"]) == ("hf-llava", 4, 21)
    ids, pixels = parts.inputs(llm)
    tokens = parts.with_tokens(ids, 6)
    with torch.no_grad():
        wanted = transformers_llava(input_ids=tokens, pixel_values=pixels, attention_mask=tokens * 0 + 1).logits[0]
    torch.testing.assert_close(logits(load(tmp_path / "out"), ids, pixels), wanted, atol=1e-4, rtol=1e-4)


def test_transformers_llava_that_crops(tmp_path: Path, llm: Path, transformers_llava: Any, clip: Path) -> None:
    source = in_transformers_layout(tmp_path / "hf", transformers_llava, llm, "saved")
    write_json(source / "preprocessor_config.json", {"image_processor_type": "CLIPImageProcessor"})
    config = read_json(source / "config.json")
    write_json(
        source / "config.json", {**config, "vision_feature_select_strategy": "full", "vision_feature_layer": [1]}
    )
    with pytest.raises(CheckpointError, match=r"hf does not fit .*_layer is \[1\].*; .*'full', wanted default.*crops"):
        import_llava(source, tmp_path / "out")
    write_json(source / "config.json", config)
    with pytest.raises(CheckpointError, match=r"holds its vision tower; leave --vision-tower out"):
        import_llava(source, tmp_path / "out", image_aspect_ratio="pad", vision_tower=str(clip))
    import_llava(source, tmp_path / "out", image_aspect_ratio="pad")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mm_projector_type": "mlp3x_gelu", "mm_use_im_start_end": True}, r"'mlp3x_gelu', wanted mlp2x.*_end is True"),
        ({"mm_vision_select_feature": "cls_patch"}, r"mm_vision_select_feature is 'cls_patch', wanted patch$"),
        ({"image_aspect_ratio": None}, r"does not say its image_aspect_ratio: --image-aspect-ratio pad, or square if"),
        (
            {"image_aspect_ratio": "anyres", "mm_patch_merge_type": "spatial_unpad"},
            r"'spatial_unpad', .*'anyres', wanted pad or square",
        ),
        ({"model_type": "llava_mpt"}, r"model_type 'llava_mpt'; wanted llava, llava_llama, llava_mistral with"),
        ({"mm_projector_type": "linear"}, r"its connector linear has 2 weights, found 4: linear_1\.bias, linear_1"),
        (
            {"num_hidden_layers": 3},
            r"21 tensors were read, 30 wanted: 9 missing \(model\.layers\.2.*0 unexpected",
        ),
        ({"intermediate_size": 99}, r"llava: model\.layers\.0\.mlp\.\w+\.weight is \(.*\), wanted \(.*99"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    tmp_path: Path, checkpoint: Path, changes: dict[str, Any], message: str
) -> None:
    source = copy(checkpoint, tmp_path / "llava", **changes)
    with pytest.raises(CheckpointError, match=message):
        import_llava(source, tmp_path / "out", activation="gelu")
    assert [path.name for path in tmp_path.iterdir()] == ["llava"]


def test_partial_and_foreign_weights_are_counted(tmp_path: Path, checkpoint: Path) -> None:
    source = copy(checkpoint, tmp_path / "llava")
    state = parts.state_of(source)
    del state["model.norm.weight"]
    parts.save_bins(source, state)
    with pytest.raises(CheckpointError, match=r"20 tensors were read, 21 wanted: 1 missing \(model\.norm\.weight\)"):
        import_llava(source, tmp_path / "out", activation="gelu")
    parts.save_bins(
        source, {**state, "model.image_newline": torch.zeros(64), "model.mm_projector.4.bias": torch.zeros(2)}
    )
    with pytest.raises(
        CheckpointError, match=r"2 of its 82 tensors belong to no part of LLaVA v1\.5: model\.image_newl"
    ):
        import_llava(source, tmp_path / "out", activation="gelu")
    (source / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(CheckpointError, match=r"1 of the 2 files named in pytorch_model\.bin\.index\.json are not"):
        import_llava(source, tmp_path / "out", activation="gelu")
    (source / "pytorch_model.bin.index.json").unlink()
    with pytest.raises(CheckpointError, match=r"holds neither model\.safetensors nor pytorch_model\.bin nor shards"):
        import_llava(source, tmp_path / "out", activation="gelu")
    (source / "tokenizer_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"llava holds no tokenizer_config\.json; finish the download"):
        import_llava(source, tmp_path / "out", activation="gelu")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(PathPluginsError, match="out exists and is not an empty directory"):
        import_llava(source, tmp_path / "out", activation="gelu")


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("sprung"),))


def test_nothing_in_a_file_runs(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = copy(checkpoint, tmp_path / "llava")
    state = torch.load(source / "pytorch_model-00001-of-00002.bin", weights_only=True)
    torch.save({**state, "trap": Trap()}, source / "pytorch_model-00001-of-00002.bin")
    import_llava(source, tmp_path / "out", activation="gelu")
    assert bits_are_kept(checkpoint, tmp_path / "out") == 62
    assert not (tmp_path / "sprung").exists()


def test_the_conversation_format(tmp_path: Path, checkpoint: Path) -> None:
    """The original's directory has none; a template for lists of parts, as Transformers' LLaVA has, makes nothing."""
    of_parts = "{% for m in messages %}{% for c in m['content'] %}{{ c['text'] }}{% endfor %}{% endfor %}"
    for number, given in enumerate([None, of_parts]):
        source = copy(checkpoint, tmp_path / f"llava{number}")
        if given:
            settings = read_json(source / "tokenizer_config.json")
            write_json(source / "tokenizer_config.json", {**settings, "chat_template": given})
        assert import_llava(source, tmp_path / f"out{number}", activation="gelu").template_given
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / f"out{number}")
        turns = [("user", "<image>\nWhat?"), ("assistant", "A gland."), ("user", "Sure?")]
        text = tokenizer.apply_chat_template([{"role": r, "content": c} for r, c in turns], tokenize=False)
        begin, end = tokenizer.bos_token, tokenizer.eos_token
        asked = f"{begin}{LLAVA_SYSTEM_PROMPT} USER: <image>\nWhat? ASSISTANT: A gland.{end}USER: Sure? ASSISTANT:"
        assert text == asked


def test_a_template_that_takes_text_stays(tmp_path: Path, checkpoint: Path) -> None:
    source = copy(checkpoint, tmp_path / "llava")
    (source / "chat_template.jinja").write_text("{{ messages[0]['content'] }}!")
    assert not import_llava(source, tmp_path / "out", activation="gelu").template_given
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template == "{{ messages[0]['content'] }}!"
    (source / "chat_template.jinja").unlink()
    assert not import_llava(source, tmp_path / "none", activation="gelu", template=False).template_given
    assert not AutoTokenizer.from_pretrained(tmp_path / "none").chat_template


def test_a_tokenizer_that_needs_a_package(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where protobuf is not installed and the vocabulary is sentencepiece's."""

    def fails(*_: Any) -> None:
        raise ImportError("\n requires the protobuf library")

    monkeypatch.setattr("pathplugins.models.foreign.llava.read.ensure_template", fails)
    with pytest.raises(MissingDependencyError, match=r"tokenizer of .*: requires the protobuf library; pip inst"):
        import_llava(checkpoint, tmp_path / "out", activation="gelu")
    assert list(tmp_path.iterdir()) == []


def test_tied_embeddings_and_one_file(tmp_path: Path, clip: Path, load: Callable[..., Any]) -> None:
    llm = build_tiny_llm(tmp_path / "llm", ["What is shown here?"] * 3, layers=1)
    source = parts.original(tmp_path / "llava", llm, shards=1, dtype=torch.bfloat16)
    (source / "pytorch_model-00001-of-00001.bin").rename(source / "pytorch_model.bin")
    (source / "pytorch_model.bin.index.json").unlink()
    done = import_llava(source, tmp_path / "out", vision_tower=str(clip))
    assert (done.dtype, done.counts["language model"]) == ("bfloat16", 11)
    model = load(tmp_path / "out")
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert bits_are_kept(source, tmp_path / "out") == 15
