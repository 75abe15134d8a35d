"""A run directory gives the same network back, and is an encoder directory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pathplugins.classify.networks.build import build_network
from pathplugins.classify.networks.encoder import build_encoder
from pathplugins.classify.options import ClassifyArguments
from pathplugins.classify.runs import load_run, slides_of, write_run
from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.encoders.encoder import EncoderChoice, load_encoder

CLASSES = ("stroma", "gland", "tumor")


def written(out: Path, **options: object) -> torch.nn.Module:
    chosen = ClassifyArguments(
        **{"data": "d", "random_weights": 0, "image_size": 64, "projection_hidden": 8, "projection_width": 4, **options}
    )
    torch.manual_seed(1)
    encoder = build_encoder(chosen)
    network = build_network(chosen, encoder, len(CLASSES))
    trained_on = {"names": ["b/1.png", "a/2.png"], "slides": ["S7", ""]}
    write_run(out, network, encoder, chosen, classes=CLASSES, **trained_on, record={"kind": "drawn"})
    return network.eval()


@pytest.mark.parametrize(
    ("recipe", "encoder"),
    [
        *(("supervised", "test_resnet"), ("linear", "test_vit"), ("byol", "test_resnet")),
        *(("segment", "test_resnet"), ("segment", "test_vit")),
    ],
)
def test_what_is_written_is_read(tmp_path: Path, recipe: str, encoder: str) -> None:
    network, pixels = written(tmp_path, recipe=recipe, encoder=encoder), torch.randn(2, 3, 64, 64)
    run = load_run(tmp_path)
    with torch.no_grad():
        logits = run.model(pixels)
        assert torch.equal(logits, network(pixels))
    assert logits.shape == ((2, 3, 64, 64) if recipe == "segment" else (2, 3))
    assert run.task == ("masks" if recipe == "segment" else "classes")
    assert run.classes == CLASSES
    assert run.names_of_training == {"a/2.png", "b/1.png"}
    assert run.slides_of_training == {"S7"}
    assert (run.preprocess.crop_px, run.record["recipe"], run.record["kind"]) == (64, recipe, "drawn")


def test_a_run_is_an_encoder_directory(tmp_path: Path) -> None:
    network = written(tmp_path, recipe="supervised", encoder="test_vit")
    encoder = load_encoder(EncoderChoice(name=str(tmp_path), device="cpu"))
    patches = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (encoder.preprocess.mean, encoder.preprocess.std))
    with torch.no_grad():
        wanted = network.encoder((patches.permute(0, 3, 1, 2).float() / 255 - mean) / std)
    torch.testing.assert_close(torch.from_numpy(encoder(patches.numpy())), wanted)


def test_slides_are_read_without_the_network(tmp_path: Path) -> None:
    written(tmp_path, recipe="linear", encoder="test_resnet")
    assert slides_of(tmp_path) == load_run(tmp_path).slides_of_training == {"S7"}
    assert slides_of(tmp_path / "no run") == frozenset()


def test_an_unfinished_or_damaged_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match=r"no classify\.json there"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(PathPluginsError, match="repeat its command"):
        load_run(tmp_path)
    written(tmp_path, recipe="supervised", encoder="test_resnet")
    head = load_file(tmp_path / "head.safetensors")
    save_file({"weight": head["weight"]}, tmp_path / "head.safetensors")
    with pytest.raises(CheckpointError, match="1 missing: bias"):
        load_run(tmp_path)
