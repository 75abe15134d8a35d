"""The language model's part of a composed directory: linked, whole, untouched (features W37, W38)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PretrainedConfig

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.compose import language_model
from pathplugins.models.compose.compose import compose
from pathplugins.models.compose.language_model import dtype_of, place_language_model, place_tokenizer, read_text_config
from pathplugins.models.compose.spec import ComposeSpec
from pathplugins.weights.model_folder import INDEX

MakeLLM = Callable[..., Path]


def in_shards(llm: Path, out: Path) -> Path:
    """The same model in several files, as large ones come."""
    shutil.copytree(llm, out)
    (out / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(llm, torch_dtype="auto").save_pretrained(out, max_shard_size="100KB")
    assert len(list(out.glob("model-*.safetensors"))) > 2
    return out


def as_hub_cache(llm: Path, root: Path) -> Path:
    """Links to blobs without a suffix, and what else lies in repositories of language models."""
    blobs, snapshot = root / "blobs", root / "snapshots" / "abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted(llm.iterdir())):
        shutil.copyfile(path, blobs / f"{number:064x}")
        (snapshot / path.name).symlink_to(Path("..", "..", "blobs", f"{number:064x}"))
    (snapshot / "README.md").write_text("---\nlicense: llama3.2\n---\n")
    (snapshot / "original").mkdir()
    (snapshot / "original" / "consolidated.00.pth").write_bytes(b"PK\x03\x04")
    save_file({"tok_embeddings.weight": torch.zeros(2, 2)}, snapshot / "consolidated.safetensors")
    return snapshot


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("layout", ["plain", "shards", "hub", "head in the file", "padded"])
def test_composed_directories_load_clean_and_hold_the_llm_bit_for_bit(
    make_llm: MakeLLM, make_spec: Callable[..., ComposeSpec], tmp_path: Path, layout: str, tied: bool
) -> None:
    from transformers import AutoModelForImageTextToText

    llm = make_llm(tied=tied, **({"vocab_size": 640} if layout == "padded" else {}))
    if layout == "shards":
        llm = in_shards(llm, tmp_path / "shards")
    elif layout == "hub":
        llm = as_hub_cache(llm, tmp_path / "hub")
    elif layout == "head in the file":  # some tied models are saved with both names
        llm = Path(shutil.copytree(llm, tmp_path / "head"))
        state = load_file(llm / "model.safetensors")
        state["lm_head.weight"] = state.get("lm_head.weight", state["model.embed_tokens.weight"]).clone()
        save_file(state, llm / "model.safetensors", metadata={"format": "pt"})
    source = {key: value for file in llm.glob("model*.safetensors") for key, value in load_file(file).items()}
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in llm.rglob("*") if path.is_file()}

    out = compose(make_spec(llm), tmp_path / "vlm")
    model, info = AutoModelForImageTextToText.from_pretrained(out, output_loading_info=True)
    assert not info["missing_keys"], info
    assert set(info["unexpected_keys"]) <= {"lm_head.weight"}, info
    assert not info["mismatched_keys"], info
    state = model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in source.items())
    assert (model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()) is tied

    linked = list(out.glob("llm-*.safetensors"))
    assert len(linked) == len(list(llm.glob("model*.safetensors")))
    assert all(path.is_symlink() and not path.readlink().is_symlink() for path in linked)
    assert ("lm_head.weight" in read_json(out / INDEX)["weight_map"]) is not tied
    assert {path.name for path in out.iterdir()}.isdisjoint({"README.md", "original"})

    model.save_pretrained(tmp_path / "saved")
    again, info = AutoModelForImageTextToText.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not info["missing_keys"], info
    assert not info["unexpected_keys"], info
    assert all(torch.equal(again.state_dict()[key], value) for key, value in state.items())
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in before} == before


def test_copied_shards_stand_alone(make_llm: MakeLLM, make_spec: Callable[..., ComposeSpec], tmp_path: Path) -> None:
    llm = Path(shutil.copytree(make_llm(), tmp_path / "llm"))
    out = compose(make_spec(llm), tmp_path / "vlm", copy=True)
    shutil.rmtree(llm)
    assert not [path for path in out.iterdir() if path.is_symlink()]
    assert load_file(out / "llm-model.safetensors")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("no config", r"holds no config\.json; give the directory of a whole language model"),
        ("quantised", "is quantised; compose from the unquantised model"),
        ("composite", "llava has parts besides a language model"),
        ("names", "gpt2 language model names its weights transformer.*only those with weights named model"),
        ("no causal", "t5 is no causal language model"),
        ("bin", r"neither model\.safetensors nor .*found pytorch_model\.bin.*convert once: python -c"),
        ("missing", r"lacks 1 of the \d+ weights of its own config\.json: model\.norm\.weight"),
        ("cut", r"model\.safetensors: not a whole safetensors file"),
        ("pointer", r"model\.safetensors: a Git LFS pointer"),
    ],
)
def test_what_is_no_language_model_says_so(make_llm: MakeLLM, tmp_path: Path, broken: str, message: str) -> None:
    llm = Path(shutil.copytree(make_llm(), tmp_path / "llm"))
    weights, config = llm / "model.safetensors", read_json(llm / "config.json")
    if broken == "no config":
        (llm / "config.json").unlink()
    elif broken == "quantised":
        write_json(llm / "config.json", {**config, "quantization_config": {"quant_method": "gptq", "bits": 4}})
    elif broken == "composite":
        write_json(llm / "config.json", {"model_type": "llava", "text_config": {"model_type": "llama"}})
    elif broken == "names":
        write_json(llm / "config.json", {"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2, "vocab_size": 9})
    elif broken == "no causal":
        write_json(llm / "config.json", {"model_type": "t5", "d_model": 8, "vocab_size": 9})
    elif broken == "bin":
        torch.save(load_file(weights), llm / "pytorch_model.bin")
        weights.unlink()
    elif broken == "missing":
        state = load_file(weights)
        del state["model.norm.weight"]
        save_file(state, weights)
    elif broken == "cut":
        weights.write_bytes(weights.read_bytes()[:300])
    elif broken == "pointer":
        weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "out").mkdir()
    with pytest.raises(CheckpointError, match=message):
        place_language_model(llm, read_text_config(llm), tmp_path / "out", copy=False)


@pytest.mark.parametrize("said", ["bfloat16", torch.bfloat16, None], ids=str)
def test_the_type_may_be_a_word(said: Any) -> None:
    class Config:
        torch_dtype = said

    assert dtype_of(Config()) == (torch.bfloat16 if said else torch.float32)
    assert dtype_of(PretrainedConfig()) == torch.float32


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_every_part_is_stored_in_the_language_models_type(
    make_llm: MakeLLM, make_spec: Callable[..., ComposeSpec], tmp_path: Path, dtype: torch.dtype
) -> None:
    llm = tmp_path / "llm"
    model = AutoModelForCausalLM.from_pretrained(make_llm(), torch_dtype=dtype)
    model.save_pretrained(llm)
    AutoTokenizer.from_pretrained(make_llm()).save_pretrained(llm)
    out = compose(make_spec(llm), tmp_path / "vlm")
    types = {value.dtype for file in out.glob("*.safetensors") for value in load_file(file).values()}
    assert types == {dtype}


def test_a_free_entry_of_the_vocabulary_stands_for_a_vision_token(make_llm: MakeLLM, tmp_path: Path) -> None:
    llm = make_llm()
    token, entry = place_tokenizer(llm, tmp_path)
    assert (token, entry) == ("<|reserved_special_token_0|>", 6)
    assert (tmp_path / "tokenizer.json").read_bytes() == (llm / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("role", ["pad_token", "eos_token"])
def test_an_entry_in_use_is_not_free(make_llm: MakeLLM, tmp_path: Path, role: str) -> None:
    """Fine-tuned models often pad with a reserved token."""
    llm = Path(shutil.copytree(make_llm(), tmp_path / "llm"))
    tokenizer = AutoTokenizer.from_pretrained(llm)
    setattr(tokenizer, role, "<|reserved_special_token_0|>")
    tokenizer.save_pretrained(llm)
    (tmp_path / "out").mkdir()
    token, entry = place_tokenizer(llm, tmp_path / "out")
    assert (token, entry) == ("<image>", len(tokenizer))


def test_a_word_that_is_no_special_token_is_not_free(
    make_llm: MakeLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be one entry in some places of a text and several in others."""
    monkeypatch.setattr(language_model, "RESERVED", ("a", "<|eom_id|>"))
    assert place_tokenizer(make_llm(), tmp_path)[0] == "<|eom_id|>"


def test_without_a_free_entry_one_is_added(make_llm: MakeLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "RESERVED", ())
    llm = make_llm()
    token, entry = place_tokenizer(llm, tmp_path)
    config = json.loads((llm / "config.json").read_text())
    assert (token, entry) == ("<image>", config["vocab_size"])  # outside the embedding, which nothing looks up there
    ids = AutoTokenizer.from_pretrained(tmp_path)("a<image><image>b", add_special_tokens=False)["input_ids"]
    assert ids.count(entry) == 2


def test_a_tokenizer_without_its_settings_is_no_whole_download(make_llm: MakeLLM, tmp_path: Path) -> None:
    llm = Path(shutil.copytree(make_llm(), tmp_path / "llm"))
    (llm / "tokenizer_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"holds no tokenizer_config\.json; finish the download"):
        place_tokenizer(llm, tmp_path)


def test_a_tokenizer_saved_by_transformers_5_is_read_by_every_version(make_llm: MakeLLM, tmp_path: Path) -> None:
    llm = shutil.copytree(make_llm(), tmp_path / "llm")
    saved = read_json(llm / "tokenizer_config.json")
    write_json(llm / "tokenizer_config.json", {**saved, "tokenizer_class": "TokenizersBackend"})
    out = tmp_path / "out"
    out.mkdir()
    token, entry = place_tokenizer(llm, out)
    assert AutoTokenizer.from_pretrained(out).convert_tokens_to_ids(token) == entry
    assert read_json(llm / "tokenizer_config.json")["tokenizer_class"] == "TokenizersBackend"  # the LLM stays as it was
