"""SlideChat's checkpoints become one directory, bit for bit, from a file or DeepSpeed's folder; or are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import slidechat_reference as reference
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoProcessor

from pathplugins.cli import main
from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json
from pathplugins.data.bags import read_bag
from pathplugins.models.foreign.slidechat.read import import_slidechat
from pathplugins.weights import read_weights
from pathplugins.weights.names.slidechat import part_of

OURS = {"slide encoder": "vision_tower.", "connector": "multi_modal_projector.", "language model": ""}


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen") / "llm"
    return reference.tiny_qwen(folder, ["What?"], model_type="qwen2", tied=False)


@pytest.fixture(scope="module")
def stage2(llm: Path) -> dict[str, Tensor]:
    """The language model was trained on: it is not that of the directory."""
    trained = {name: value + 0.01 for name, value in read_weights(llm).items()}
    return reference.published_state(trained)


def state_of(folder: Path) -> dict[str, Tensor]:
    return {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}


def by_ours(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {OURS[part] + ours: value for name, value in state.items() for part, ours in [part_of(name)]}


@pytest.mark.parametrize("how", ["file", "folder"])
def test_stage_2_from(
    tmp_path: Path, llm: Path, stage2: dict[str, Tensor], how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "stage2_pth", tmp_path / "hf_slidechat"
    torch.save({"state_dict": stage2}, source) if how == "file" else reference.zero_folder(source, stage2)
    assert main(["import-weights", "slidechat", str(source), "--llm", str(llm), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "42 of the slide encoder, 4 of the connector, 27 of the language model; language model its own" in said
    assert "patches never see each other" in said
    got, wanted = state_of(out), by_ours(stage2)
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[name], value) for name, value in wanted.items())
    assert not any(path.is_symlink() for path in out.iterdir())
    settings = read_json(out / "preprocessor_config.json")
    wanted_settings = {"patches_per_wsi": 10_240, "patches_sampling": "linspace", "slide_token": False}
    wanted_settings |= {"vision_feature_select_mode": "none", "feature_dim": 16}
    assert {name: settings[name] for name in wanted_settings} == wanted_settings


def test_stage_1_takes_the_language_model_of_its_directory(tmp_path: Path, llm: Path) -> None:
    source, out = tmp_path / "stage1.pth", tmp_path / "hf"
    torch.save(reference.published_state(), source)
    before = state_of(llm)
    said = import_slidechat(source, out, llm=llm)
    assert "not in the file (stage 1)" in said[0]
    got = state_of(out)
    assert state_of(llm).keys() == before.keys(), "its own files stay where they are"
    assert all(torch.equal(got[name], value) for name, value in before.items())
    assert not any(path.is_symlink() for path in out.iterdir())


def test_it_asks_as_published_and_its_logits_are_those_of_the_formulae(
    tmp_path: Path, llm: Path, stage2: dict[str, Tensor], load: Any, write_h5: Any
) -> None:
    from pathplugins.commands.prompting import conversation

    source, out = tmp_path / "stage2.pth", tmp_path / "hf"
    torch.save(stage2, source)
    import_slidechat(source, out, llm=llm)
    bag = write_h5("conch", 23, width=16)
    processor, model = AutoProcessor.from_pretrained(out), load(out)
    text = conversation(processor.tokenizer, "Which margin?")
    inputs = processor([text], [[bag]])
    own = lambda text: processor.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    ids, _ = reference.ids_and_labels([("<image>\nWhich margin?", "")], own)
    prompt = ids[: len(ids) - len(own("<|im_end|>")) - len(own("\n"))]
    wanted_ids, _ = reference.wide(prompt, [0] * len(prompt), [23], processor.image_token_id)
    assert inputs["input_ids"].tolist() == [wanted_ids]
    tower = model.vision_tower
    rows = torch.from_numpy(read_bag(bag).features).float()
    w = {name: value for name, value in stage2.items() if name.startswith("projector.")}
    with torch.no_grad():
        tokens = tower(rows, torch.zeros(23, 2), torch.tensor([23]))[1]
        hidden = torch.nn.functional.gelu(tokens @ w["projector.model.0.weight"].T + w["projector.model.0.bias"])
        vision = hidden @ w["projector.model.2.weight"].T + w["projector.model.2.bias"]
        alone = AutoModelForCausalLM.from_config(model.config.text_config).float().eval()
        alone.load_state_dict({k: v for k, v in state_of(out).items() if k.startswith(("model.", "lm_head."))})
        is_image = inputs["input_ids"] == model.config.image_token_id
        embeds = alone.get_input_embeddings()(inputs["input_ids"].masked_fill(is_image, 0))
        embeds[is_image] = vision
        torch.testing.assert_close(model(**inputs).logits, alone(inputs_embeds=embeds).logits, rtol=1e-4, atol=1e-5)
    ends = [processor.tokenizer.convert_tokens_to_ids(word) for word in ("<|im_end|>", "<|endoftext|>")]
    told = read_json(out / "generation_config.json")
    assert (told["eos_token_id"], told["do_sample"]) == (ends, False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("llm.model.norm.weight"), "27 wanted: 1 missing .model.norm.weight"),
        (lambda s: s.pop("projector.model.2.bias"), "1 missing: linear_2.bias"),
        (lambda s: s.update({"visual_encoder.x": torch.ones(1)}), "belong to no part of SlideChat .*visual_encoder.x"),
        (lambda s: [s.pop(name) for name in [*s] if "LongNet" in name], "holds no slide encoder"),
    ],
    ids=["language model", "connector", "strange", "tower"],
)
def test_what_is_not_whole_is_refused(
    tmp_path: Path, llm: Path, stage2: dict[str, Tensor], change: Any, said: str
) -> None:
    state, source = dict(stage2), tmp_path / "stage2.pth"
    change(state)
    torch.save(state, source)
    with pytest.raises(CheckpointError, match=said):
        import_slidechat(source, tmp_path / "out", llm=llm)
    assert not (tmp_path / "out").exists()


def test_what_is_needed_besides(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"give --llm, the directory of Qwen2\.5-7B-Instruct"):
        import_slidechat(tmp_path / "stage2.pth", tmp_path / "out")
