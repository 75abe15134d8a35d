"""Checkpoints of the official WSI-LLaVA, whole and as LoRA, become the same kind of model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import llava_parts as parts
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoProcessor, AutoTokenizer

from pathplugins.cli import main
from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, write_json
from pathplugins.data.bags.write_tokens import write_tokens
from pathplugins.models.foreign.wsi_llava.read import import_wsi_llava

ROWS = 7
V1 = "A chat between a curious user and an artificial intelligence assistant."


@pytest.fixture(scope="module")
def llm(make_llm: Callable[..., Path]) -> Path:
    return make_llm(tied=False)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, llm: Path) -> Path:
    """As published: a LLaVA directory with a CLIP inside that no slide goes through."""
    root = tmp_path_factory.mktemp("wsi_llava")
    return parts.original(root / "llava", llm, tower=parts.clip_directory(root / "clip"), dtype=torch.float32)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """A run of finetune_lora.sh: LoRA on all linear layers of the language model, its connector beside."""
    folder = tmp_path_factory.mktemp("lora")
    torch.manual_seed(4)
    lora, modules = {}, set()
    for name, value in parts.state_of(checkpoint).items():
        if name.startswith("model.layers.") and value.ndim == 2:
            module = name.removesuffix(".weight")
            modules.add(module.rpartition(".")[2])
            lora[f"base_model.model.{module}.lora_A.weight"] = torch.randn(4, value.shape[1]) * 0.1
            lora[f"base_model.model.{module}.lora_B.weight"] = torch.randn(value.shape[0], 4) * 0.1
    torch.save(lora, folder / "adapter_model.bin")
    beside = {f"base_model.model.{name}": value + 1 for name, value in parts.connector_state().items()}
    torch.save(beside, folder / "non_lora_trainables.bin")
    settings = {"r": 4, "lora_alpha": 8, "target_modules": sorted(modules), "bias": "none"}
    write_json(folder / "adapter_config.json", {**settings, "base_model_name_or_path": "liuhaotian/llava-v1.5-7b"})
    return folder


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "a.h5"
    tokens = torch.randn(ROWS, parts.WIDTH, generator=torch.Generator().manual_seed(2))
    write_tokens(path, tokens.numpy(), {"slide_id": "a", "encoder": "gigapath-slide-pooled-576"})
    return path


def wanted_logits(
    language: dict[str, Tensor], connector: dict[str, Tensor], config: Any, ids: Tensor, bag: Path
) -> Any:
    """Rows through the two layers, in the place of the image, through a plain causal language model."""
    with h5py.File(bag) as file:
        rows = torch.from_numpy(file["features"][:]).double()
    hidden = F.gelu(rows @ connector["0.weight"].double().T + connector["0.bias"].double())
    vision = hidden @ connector["2.weight"].double().T + connector["2.bias"].double()
    model = AutoModelForCausalLM.from_config(config.text_config).double().eval()
    model.load_state_dict({name: value.double() for name, value in language.items()})
    is_image = ids == config.image_token_id
    embeds = model.get_input_embeddings()(ids.masked_fill(is_image, 0)).detach()
    embeds[is_image] = vision
    with torch.no_grad():
        return model(inputs_embeds=embeds).logits


def language_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    kept = ("model.embed_tokens", "model.layers", "model.norm", "lm_head")
    return {name: value for name, value in state.items() if name.startswith(kept) and "inv_freq" not in name}


def check(
    out: Path, language: dict[str, Tensor], connector: dict[str, Tensor], bag: Path, load: Any, exact: float = 1e-6
) -> None:
    got = parts.state_of(out)
    assert not [name for name in got if name.startswith("vision_tower")]
    assert not any(path.is_symlink() for path in out.iterdir())
    for place, ours in (("0", "linear_1"), ("2", "linear_2")):
        for kind in ("weight", "bias"):
            assert torch.equal(got[f"multi_modal_projector.{ours}.{kind}"], connector[f"{place}.{kind}"])
    model, processor = load(out, torch_dtype=torch.float64), AutoProcessor.from_pretrained(out)
    inputs = processor(["USER: <image>\nWhat grade?"], [[str(bag)]])
    assert int((inputs["input_ids"] == model.config.image_token_id).sum()) == ROWS  # no token of the whole slide
    with torch.no_grad():
        logits = model(**inputs).logits
    wanted = wanted_logits(language, connector, model.config, inputs["input_ids"], bag)
    torch.testing.assert_close(logits.double(), wanted, rtol=exact, atol=exact)


def named(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.split(prefix)[1]: value for name, value in state.items() if prefix in name}


def test_a_whole_directory_by_the_command(
    checkpoint: Path, tmp_path: Path, bag: Path, load: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "hf_wsi"
    assert main(["import-weights", "wsi-llava", str(checkpoint), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "tensors of the vision tower left out: it is bypassed; reads bags of 128 channels" in said
    state = parts.state_of(checkpoint)
    check(out, language_of(state), named("mm_projector.", state), bag, load)
    config, reading = (read_json(out / f"{name}config.json") for name in ("", "preprocessor_"))
    assert config["vision_config"]["model_type"] == "features"
    assert (config["vision_feature_select_mode"], config["projector_config"]["type"]) == ("none", "mlp2x_gelu")
    assert (reading["feature_dim"], reading["expects_encoder"]) == (parts.WIDTH, "gigapath-slide-pooled-576")
    assert V1 in AutoTokenizer.from_pretrained(out).chat_template


def test_a_lora_is_merged_into_the_llava_it_was_trained_on(
    checkpoint: Path, adapter: Path, tmp_path: Path, bag: Path, load: Any
) -> None:
    out = tmp_path / "hf_wsi"
    lines = import_wsi_llava(adapter, out, llm=checkpoint, template="v1-evaluation")
    assert "LoRA of 14 modules, r 4, scale 2, merged" in lines[1]
    language, lora = language_of(parts.state_of(checkpoint)), parts.state_of(adapter)
    lora |= torch.load(adapter / "adapter_model.bin", weights_only=True)
    for name in language:
        module = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{module}.lora_A.weight" in lora:
            up, down = (lora[f"{module}.lora_{side}.weight"].double() for side in "BA")
            language[name] = (language[name].double() + 2 * up @ down).float()
    connector = named("mm_projector.", torch.load(adapter / "non_lora_trainables.bin", weights_only=True))
    check(out, language, connector, bag, load, exact=1e-5)  # merged in float32 and stored so
    asks = AutoTokenizer.from_pretrained(out).chat_template
    assert V1 not in asks
    assert (
        "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, " in asks
    )
    assert "detailed, and polite answers to the human" in asks


def test_what_does_not_go_together_is_refused_and_nothing_is_written(
    checkpoint: Path, adapter: Path, llm: Path, tmp_path: Path
) -> None:
    for given, said in (
        ({"source": checkpoint, "llm": checkpoint}, "leave --llm out"),
        ({"source": adapter}, r"give --llm, the directory of liuhaotian/llava-v1\.5-7b"),
        ({"source": adapter, "llm": llm}, "not Vicuna's any more"),
    ):
        source = given.pop("source")
        with pytest.raises(CheckpointError, match=said):
            import_wsi_llava(source, tmp_path / "out", **given)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: {n: v for n, v in s.items() if n != "model.mm_projector.2.bias"}, "wanted a connector of 2 layers"),
        (lambda s: {n: v for n, v in s.items() if n != "model.layers.1.mlp.up_proj.weight"}, "1 missing"),
        (lambda s: {**s, "model.image_newline": torch.ones(3)}, "belong to no part of LLaVA: model.image_newline"),
    ],
)
def test_partial_weights_are_refused_and_nothing_is_written(
    checkpoint: Path, tmp_path: Path, change: Any, said: str
) -> None:
    source = tmp_path / "llava"
    source.mkdir()
    for path in checkpoint.iterdir():
        if "pytorch_model" not in path.name:
            (source / path.name).write_bytes(path.read_bytes())
    parts.save_bins(source, change(parts.state_of(checkpoint)))
    with pytest.raises(CheckpointError, match=said):
        import_wsi_llava(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["llava"]


def test_a_git_lfs_pointer_is_named(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "llava"
    source.mkdir()
    for path in checkpoint.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (source / "pytorch_model-00001-of-00002.bin").write_bytes(pointer)
    with pytest.raises(CheckpointError, match="Git LFS pointer"):
        import_wsi_llava(source, tmp_path / "out")
