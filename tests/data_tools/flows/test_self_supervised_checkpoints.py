"""Checkpoints as self-supervised projects save them: the trained encoder is taken, heads and slow copies are not."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_encoders import run, shaken

from pathplugins.encoders.encoder import EncoderChoice, load_encoder

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")


def of(prefix: str, state: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{key}": value for key, value in state.items()}


OPTIONS = argparse.Namespace(arch="x", lr=0.1, layers=[1, 2])
Checkpoint = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
#: what each project saves: from the weights of the trained encoder and those of another to the file
PROJECTS: dict[str, tuple[str, Checkpoint]] = {
    "supervised": (
        "test_resnet",
        lambda own, _: {
            "state_dict": {**own, "fc.1.weight": torch.zeros(20, 96), "fc.1.bias": torch.zeros(20)},
            "opt_state_dict": {},
            "epoch": 5,
        },
    ),
    "byol": (
        "test_resnet",
        lambda own, other: {
            "state_dict": {
                **of("net_target.net.", other),
                **of("net_online.net.", own),
                "projector_online.net.ln1.weight": torch.zeros(8, 96),
                "classifier_online.weight": torch.zeros(20, 96),
            },
            "itr": 7,
        },
    ),
    "moco": (
        "test_resnet",
        lambda own, other: {
            "arch": "resnet50",
            "state_dict": {
                **of("module.encoder_k.", other),
                **of("module.encoder_q.", own),
                "module.encoder_q.fc.0.weight": torch.zeros(9, 96),
                "module.queue": torch.zeros(9, 4),
            },
        },
    ),
    "simclr": (
        "test_resnet",
        lambda own, _: {
            "state_dict": {
                **of("convnet.", {**own, "fc.weight": torch.zeros(1000, 96)}),
                "projection.fc1.weight": torch.zeros(3, 96),
            },
            "hparams": OPTIONS,
        },
    ),
    "dino": (
        "test_vit",
        lambda own, other: {
            "student": of("module.backbone.", other),
            "teacher": {**of("backbone.", own), "head.mlp.0.weight": torch.zeros(4, 64)},
            "args": OPTIONS,
        },
    ),
    "mae": (
        "test_vit",
        lambda own, _: {
            "model": {**own, "mask_token": torch.zeros(1, 1, 9), "decoder_blocks.0.norm1.weight": torch.zeros(9)},
            "args": OPTIONS,
        },
    ),
}


@pytest.mark.parametrize("project", PROJECTS)
def test_checkpoints_of_self_supervised_projects(project: str, tmp_path: Path) -> None:
    architecture, checkpoint = PROJECTS[project]
    source, other = (timm.create_model(architecture, num_classes=0) for _ in range(2))
    torch.save(checkpoint(source.state_dict(), shaken(other).state_dict()), tmp_path / "w.pth.tar")
    encoder = load_encoder(EncoderChoice(name=architecture, weights=tmp_path / "w.pth.tar", device="cpu"))
    side = encoder.preprocess.crop_px
    pixels = torch.rand(2, 3, side, side)
    torch.testing.assert_close(run(encoder._model, pixels), run(source, pixels))
