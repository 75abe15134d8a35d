"""ANTONI-Alpha's weights by PEFT's own names become one directory that computes what the parts compute."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from gemma_models import build_gemma3, needs_gemma3
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

from pathplugins.cli import main
from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.data.bags.write_tokens import write_tokens
from pathplugins.data.turn_formats import format_of
from pathplugins.models.foreign.antoni_alpha.read import import_antoni_alpha

pytestmark = needs_gemma3

TEXTS = ["What does this slide show? The slide shows invasive carcinoma."] * 3
R, C, H, HEADS, RANK, ALPHA = 5, 1280, 64, 4, 3, 6
CONFIG = {
    "model_type": "antoni_alpha",
    "llm_model_id": "google/medgemma-4b-it",
    "projector_num_output_tokens": R,
    "projector_num_query_heads": HEADS,
    "projector_num_kv_heads": HEADS,
    "projector_dropout": 0.1,
    "projector_ffn_hidden_dim": None,
    "lora_r": RANK,
    "lora_alpha": ALPHA,
    "lora_target_modules": "all-linear",
    "lora_modules_to_save": ["lm_head", "embed_tokens"],
}


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_gemma3(tmp_path_factory.mktemp("llm") / "medgemma", TEXTS)


@pytest.fixture(scope="module")
def tuned(llm: Path) -> Any:
    """The language model as it was trained: PEFT around all of it, embedding and head whole."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    options = {"r": RANK, "lora_alpha": ALPHA, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    base = AutoModelForImageTextToText.from_pretrained(llm)
    model = get_peft_model(base, LoraConfig(**options, modules_to_save=["lm_head", "embed_tokens"])).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if ".lora_B." in name or ".modules_to_save." in name:
                value.add_(torch.randn_like(value) * 0.1)
    return model


@pytest.fixture(scope="module")
def connector() -> dict[str, Tensor]:
    drawn = torch.Generator().manual_seed(4)
    shapes = {"q_proj": (C, C), "k_proj": (C, C), "v_proj": (H, C), "out_proj": (H, H)}
    state = {
        f"{name}.weight": torch.randn(*shape, generator=drawn) * shape[1] ** -0.5 for name, shape in shapes.items()
    }
    state["query_tokens"] = torch.randn(1, R, C, generator=drawn)
    state["layer_norm.weight"], state["layer_norm.bias"] = (
        torch.rand(H, generator=drawn),
        torch.rand(H, generator=drawn),
    )
    return state


def write(folder: Path, tuned: Any, connector: dict[str, Tensor], **config: Any) -> Path:
    """The published directory; matrices of the base are in 4 bits, as bitsandbytes saves them."""
    folder.mkdir()
    state = {f"projection_layer.{name}": value for name, value in connector.items()}
    for name, value in tuned.state_dict().items():
        if ".base_layer.weight" in name:
            state[f"llm.{name}"] = torch.zeros(value.numel() // 2, 1, dtype=torch.uint8)
            state[f"llm.{name}.quant_state.bitsandbytes__nf4"] = torch.zeros(9, dtype=torch.uint8)
        else:
            state[f"llm.{name}"] = value.clone()
    torch.save(state, folder / "pytorch_model.bin")
    write_json(folder / "config.json", {**CONFIG, **config})
    return folder


def change(folder: Path, edit: Callable[[dict[str, Tensor]], Any]) -> None:
    state = torch.load(folder / "pytorch_model.bin")
    edit(state)
    torch.save(state, folder / "pytorch_model.bin")


def projected(connector: dict[str, Tensor], latents: Tensor) -> Tensor:
    """``[N, C]`` to ``[R, H]``, by the description."""
    q = connector["query_tokens"][0] @ connector["q_proj.weight"].T
    k, v = (latents @ connector[f"{name}_proj.weight"].T for name in "kv")
    heads = zip(*(part.chunk(HEADS, -1) for part in (q, k, v)), strict=True)
    mixed = torch.cat([torch.softmax(a @ b.T / (C / HEADS) ** 0.5, -1) @ c for a, b, c in heads], -1)
    y = mixed @ connector["out_proj.weight"].T
    return F.layer_norm(y, (H,), connector["layer_norm.weight"], connector["layer_norm.bias"])


def test_the_command_makes_a_directory_that_computes_the_same(
    tmp_path: Path,
    llm: Path,
    tuned: Any,
    connector: dict[str, Tensor],
    load: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, out = write(tmp_path / "antoni", tuned, connector), tmp_path / "hf_antoni"
    words = ["import-weights", "antoni-alpha", source, "--llm", llm, "--out", out]
    assert main([str(word) for word in words]) == 0
    said = capsys.readouterr().out
    assert "LoRA of 14 modules (r 3) merged" in said
    assert "trained whole: lm_head.weight, model.embed_tokens.weight" in said
    assert "of the vision part of the language model" in said
    assert not any(path.is_symlink() for path in out.iterdir())
    state = {name: value for file in out.glob("*.safetensors") for name, value in load_file(file).items()}
    for name, value in connector.items():
        assert torch.equal(state[f"multi_modal_projector.{name}"], value)
    whole = dict(tuned.named_parameters())
    saved = next(value for name, value in whole.items() if "embed_tokens.modules_to_save" in name)
    assert torch.equal(state["model.embed_tokens.weight"], saved)
    config = read_json(out / "config.json")
    assert config["tie_word_embeddings"] is config["text_config"]["tie_word_embeddings"] is False
    assert config["projector_config"]["dropout"] == 0.1
    assert format_of(AutoTokenizer.from_pretrained(out).chat_template).name == "antoni_gemma3"

    bag = tmp_path / "latents.h5"
    latents = torch.randn(7, C, generator=torch.Generator().manual_seed(5))
    write_tokens(bag, latents.numpy(), {"slide_id": "latents", "encoder": "prism"})
    processor, model = AutoProcessor.from_pretrained(out), load(out)
    asked = [{"role": "user", "content": "<image>\nWhat does this slide show?"}]
    text = processor.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    inputs = processor([text], [[bag]])
    ids = inputs["input_ids"]
    slots = ids == processor.image_token_id
    assert processor.image_token == "<image_soft_token>"
    assert int(slots.sum()) == R
    embeds = tuned.get_input_embeddings()(ids)
    embeds[slots] = projected(connector, latents)
    with torch.no_grad():
        wanted = tuned(inputs_embeds=embeds).logits
    torch.testing.assert_close(model(**inputs).logits, wanted, atol=2e-5, rtol=1e-4)
    assert model.generate(**inputs, max_new_tokens=2, do_sample=False).shape[1] == ids.shape[1] + 2


def _drop(state: dict[str, Tensor], part: str) -> None:
    del state[next(name for name in state if part in name)]


BROKEN: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "half a LoRA": (lambda state: _drop(state, "layers.1.mlp.up_proj.lora_B"), "have one of lora_A and lora_B alone"),
    "a LoRA less": (
        lambda state: [_drop(state, f"language_model.layers.1.mlp.up_proj.lora_{side}") for side in "AB"],
        "1 missing",
    ),
    "no head": (lambda state: _drop(state, "lm_head.modules_to_save"), r"says that lm_head\.weight were trained whole"),
    "no queries": (lambda state: _drop(state, "query_tokens"), r"holds no projection_layer\.query_tokens"),
    "part of the connector": (lambda state: _drop(state, "projection_layer.k_proj"), r"k_proj\.weight"),
    "a stranger": (lambda state: state.update(value_head=torch.zeros(2)), "1 of its .* tensors are neither"),
    "another base": (
        lambda state: state[next(n for n in state if n.endswith("language_model.norm.weight"))].add_(1),
        "has other values in --llm",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_not_whole_is_refused(
    tmp_path: Path, llm: Path, tuned: Any, connector: dict[str, Tensor], broken: str
) -> None:
    source = write(tmp_path / "antoni", tuned, connector)
    edit, message = BROKEN[broken]
    change(source, edit)
    with pytest.raises(CheckpointError, match=message):
        import_antoni_alpha(source, tmp_path / "out", llm=llm)
    assert not (tmp_path / "out").exists()


def test_without_the_language_model_its_page_is_named(tmp_path: Path, tuned: Any, connector: dict[str, Tensor]) -> None:
    source = write(tmp_path / "antoni", tuned, connector)
    with pytest.raises(CheckpointError, match=r"give --llm medgemma-4b-it.*huggingface\.co/google/medgemma-4b-it"):
        import_antoni_alpha(source, tmp_path / "out")


def test_a_pointer_and_shards(tmp_path: Path, llm: Path, tuned: Any, connector: dict[str, Tensor]) -> None:
    source = write(tmp_path / "antoni", tuned, connector)
    state = torch.load(source / "pytorch_model.bin")
    (source / "pytorch_model.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(PathPluginsError, match=r"Git.LFS pointer"):
        import_antoni_alpha(source, tmp_path / "out", llm=llm)
    (source / "pytorch_model.bin").unlink()
    names = list(state)
    files = {f"model-{n}.safetensors": names[n::2] for n in range(2)}
    for file, held in files.items():
        save_file({name: state[name].contiguous() for name in held}, source / file)
    index = {"weight_map": {name: file for file, held in files.items() for name in held}}
    write_json(source / "model.safetensors.index.json", index)
    assert import_antoni_alpha(source, tmp_path / "out", llm=llm)
    shutil.rmtree(tmp_path / "out")
    (source / "model-1.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-1\.safetensors"):
        import_antoni_alpha(source, tmp_path / "out", llm=llm)
