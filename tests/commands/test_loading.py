"""Loading: what cannot work is said before the weights are read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pathplugins.commands.loading import load_model, load_processor, reads_of
from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.weights.model_folder import INDEX

torch = pytest.importorskip("torch")


def test_a_model_comes_in_evaluation_mode_and_says_what_it_reads(vlm: Path) -> None:
    loaded = load_model(vlm, device="cpu", dtype="bfloat16")
    assert not loaded.model.training
    assert loaded.model.dtype is torch.bfloat16
    assert (loaded.reads, loaded.name) == ("bags", str(vlm))
    assert loaded.processor.num_image_tokens is not None


def test_an_image_model_reads_images(make_vlm: Any, pallava: dict[str, Any]) -> None:
    assert reads_of(load_processor(make_vlm(None, **pallava))) == "images"


def test_images_are_cut_to_a_square_where_asked(make_vlm: Any, pallava: dict[str, Any], vlm: Path) -> None:
    directory = make_vlm(None, **pallava, image_aspect_ratio="pad")
    told = [load_model(directory, device="cpu", image_aspect_ratio=ratio) for ratio in (None, "square")]
    assert [loaded.processor.image_processor.image_aspect_ratio for loaded in told] == ["pad", "square"]
    for other, reads in ((vlm, "feature bags"), (make_vlm(None, **pallava), "images as anyres")):
        with pytest.raises(PathPluginsError, match=f"--image-aspect-ratio pad: this model reads {reads}; .* leave it"):
            load_model(other, device="cpu", image_aspect_ratio="pad")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "--device gpu: no such device; give auto, cpu, cuda or cuda:N"),
        ("cuda:99", r"--device cuda:99: this machine shows PyTorch \d+ GPUs; give auto or cpu"),
    ],
)
def test_devices(vlm: Path, device: str, message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        load_model(vlm, device=device)


def test_an_adapter_of_another_model_is_refused(vlm: Path, make_vlm: Any, make_llm: Any, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    other = load_model(make_vlm(make_llm(hidden_size=48)), device="cpu").model
    config = peft.LoraConfig(r=2, target_modules=["q_proj"])
    peft.get_peft_model(other, config).save_pretrained(tmp_path)
    with pytest.raises(PathPluginsError, match=r"does not fit the model .*; give the model it was trained on"):
        load_model(vlm, adapter=tmp_path, device="cpu")


def test_weights_that_lack_are_not_made_up(vlm: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    model = Path(shutil.copytree(vlm, tmp_path / "vlm"))
    held = {file: load_file(file) for file in sorted(model.glob("*.safetensors"))}
    file = next(file for file, state in held.items() if any("multi_modal_projector" in name for name in state))
    cut = {name: value for name, value in held[file].items() if "multi_modal_projector" not in name}
    file.unlink()  # it may be a link to the file of a language model
    save_file(cut, file, metadata={"format": "pt"})
    if (index := model / INDEX).is_file():
        listed = read_json(index)
        listed["weight_map"] = {n: f for n, f in listed["weight_map"].items() if "multi_modal_projector" not in n}
        write_json(index, listed)
    with pytest.raises(CheckpointError, match=r"vlm lacks \d+ weights of the model \(multi_modal_projector"):
        load_model(model, device="cpu")


def test_weights_of_another_width(vlm: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(vlm, tmp_path / "vlm"))
    for name, key in (("config.json", "vision_config"), ("preprocessor_config.json", None)):
        settings = read_json(model / name)
        (settings[key] if key else settings)["in_chans" if key else "feature_dim"] = 12
        write_json(model / name, settings)
    with pytest.raises(CheckpointError, match=r"vlm: its weights have other shapes than its config\.json gives"):
        load_model(model, device="cpu")
