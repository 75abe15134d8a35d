"""PA-LLaVA's published files become one directory: merged by the formula, whole or refused."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoProcessor, CLIPVisionConfig, CLIPVisionModel

from pathplugins.cli import main
from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import write_json
from pathplugins.models.foreign.pallava.read import import_pallava
from pathplugins.weights import read_weights
from pathplugins.weights.names.pallava import PREFIX, to_ours

PLIP = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}


@pytest.fixture(scope="module")
def llm(make_llm: Callable[..., Path]) -> Path:
    return make_llm(tied=False)


@pytest.fixture(scope="module")
def plip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As it is downloaded: an archive of one folder."""
    root = tmp_path_factory.mktemp("plip")
    folder, config = root / "plip", {**PLIP, "image_size": 28, "patch_size": 2}
    torch.manual_seed(5)
    state = CLIPVisionModel(CLIPVisionConfig(**config)).state_dict()
    bare = {name.removeprefix("vision_model."): value for name, value in state.items()}
    folder.mkdir()
    torch.save({f"vision_model.{name}": value for name, value in bare.items()}, folder / "plip_80w_196token.bin")
    write_json(folder / "config.json", config)
    with tarfile.open(root / "plip.tar.gz", "w:gz") as archive:
        archive.add(folder, "plip")
    return root / "plip.tar.gz"


@pytest.fixture(scope="module")
def trained(llm: Path, published: Callable[..., dict[str, Tensor]]) -> dict[str, Tensor]:
    """What the file holds, by the names that XTuner gives it."""
    torch.manual_seed(7)
    state = dict(published(layers=2, crossing=(0, 1)))
    for name, value in read_weights(llm).items():
        if name.startswith("model.layers.") and value.ndim == 2:
            module = f"llm.base_model.model.{name.removesuffix('.weight')}"
            state[f"{module}.lora_A.default.weight"] = torch.randn(128, value.shape[1]) * 0.02
            state[f"{module}.lora_B.default.weight"] = torch.randn(value.shape[0], 128) * 0.02
    return state


def saved(folder: Path, state: dict[str, Tensor]) -> Path:
    torch.save({"state_dict": state, "meta": {"epoch": 12}}, folder / "instruction_tuning_weight.pth")
    return folder / "instruction_tuning_weight.pth"


def state_of(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for file in folder.glob("*.safetensors"):
        state |= load_file(file)
    return state


def test_the_command_makes_one_directory_of_the_published_files(
    tmp_path: Path, llm: Path, plip: Path, trained: dict[str, Tensor], load: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(tmp_path, trained)
    out = tmp_path / "hf_pa"
    words = ["import-weights", "pallava", file, "--llm", llm, "--vision-tower", plip, "--out", out]
    assert main([str(word) for word in words]) == 0
    said = capsys.readouterr().out
    assert "LoRA of 14 modules (r 128, alpha 256) merged" in said
    assert "2 layers with cross-attention" in said
    got, base = state_of(out), read_weights(llm)
    for name, value in base.items():
        module = f"llm.base_model.model.{name.removesuffix('.weight')}"
        wanted = value.double()
        if f"{module}.lora_A.default.weight" in trained:
            up, down = (trained[f"{module}.lora_{side}.default.weight"].double() for side in "BA")
            wanted = wanted + 2 * torch.einsum("or,ri->oi", up, down)
        torch.testing.assert_close(got[name].double(), wanted, rtol=1e-5, atol=1e-6)
    for name, value in trained.items():
        if name.startswith(PREFIX) and (ours := to_ours(name.removeprefix(PREFIX))):
            assert torch.equal(got[f"multi_modal_projector.{ours}"], value), name
    assert not any(path.is_symlink() for path in out.iterdir())
    _forward_is_the_language_models_own(out, load)


def _forward_is_the_language_models_own(out: Path, load: Any) -> None:
    """The imported model's logits are those of its merged language model on the embeddings of text and image."""
    processor, model = AutoProcessor.from_pretrained(out), load(out)
    inputs = processor(["<image> What is the dominant tissue?"], [[Image.new("RGB", (61, 39), (200, 120, 160))]])
    alone = AutoModelForCausalLM.from_config(model.config.text_config).float().eval()
    alone.load_state_dict({k: v for k, v in state_of(out).items() if k.startswith(("model.", "lm_head."))})
    with torch.no_grad():
        logits = model(**inputs).logits
        counts = inputs["tile_counts"]
        tokens = model.vision_tower(inputs["pixel_values"])[1]
        vision = model.multi_modal_projector(tokens, counts.tolist())  # [1, 196, H]
        is_image = inputs["input_ids"] == model.config.image_token_id
        embeds = alone.get_input_embeddings()(inputs["input_ids"].masked_fill(is_image, 0))
        embeds[is_image] = vision.reshape(-1, embeds.shape[-1])
        wanted = alone(inputs_embeds=embeds).logits
    assert int(is_image.sum()) == 196
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-5)


def test_released_weights_without_cross_attention_say_so(
    tmp_path: Path, llm: Path, plip: Path, trained: dict[str, Tensor]
) -> None:
    state = {name: value for name, value in trained.items() if ".crossattention." not in name}
    lines = import_pallava(saved(tmp_path, state), tmp_path / "out", llm=llm, vision_tower=plip)
    assert "2 layers WITHOUT" in lines[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: _without(s, "model.layers.1.mlp.up_proj.lora_A"), "one of lora_A and lora_B alone"),
        (lambda s: _without(s, "model.layers.1.mlp.up_proj"), "1 missing"),
        (lambda s: _without(s, "lora_"), "a connector and no LoRA"),
        (lambda s: _without(s, "projector"), "no connector"),
        (lambda s: {**s, "visual_encoder.x": torch.zeros(1)}, "neither PA-LLaVA's connector"),
        (
            lambda s: {n: v[:64] if "lora_A" in n else v[:, :64] if "lora_B" in n else v for n, v in s.items()},
            "rank 64",
        ),
        (lambda s: _without(s, "layer.1.output_query.dense.bias"), "does not fit the connector"),
    ],
)
def test_partial_and_other_weights_are_refused_and_nothing_is_written(
    tmp_path: Path, llm: Path, plip: Path, trained: dict[str, Tensor], change: Any, said: str
) -> None:
    file = saved(tmp_path, change(trained))
    with pytest.raises(CheckpointError, match=said):
        import_pallava(file, tmp_path / "out", llm=llm, vision_tower=plip)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def _without(state: dict[str, Tensor], text: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if text not in name}


def test_a_git_lfs_pointer_and_parts_that_are_not_given(tmp_path: Path, llm: Path) -> None:
    file = tmp_path / "instruction_tuning_weight.pth"
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(CheckpointError, match="Git LFS pointer"):
        import_pallava(file, tmp_path / "out", llm=llm, vision_tower=tmp_path)
    with pytest.raises(CheckpointError, match=r"give --vision-tower, plip\.tar\.gz"):
        import_pallava(file, tmp_path / "out", llm=llm)
    with pytest.raises(CheckpointError, match="give --llm"):
        import_pallava(file, tmp_path / "out", vision_tower=tmp_path)
