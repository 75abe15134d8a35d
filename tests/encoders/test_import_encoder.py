"""Checkpoints of every training method, laid out by its own library -> encoder folders with the same features."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from timm_eyes import settled
from tiny_encoders import PATCHES, SIDE, features, run, tiny

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.encoders.build import build_model
from pathplugins.encoders.encoder import EncoderChoice, load_encoder
from pathplugins.encoders.import_encoder import TOLERANCE, import_encoder
from pathplugins.encoders.registry import ENCODERS
from pathplugins.published.encoders.ptcga import PTCGA200

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
models = pytest.importorskip("torchvision.models")
heads = pytest.importorskip("lightly.models.modules.heads")
masked = pytest.importorskip("lightly.models.modules")
nn = torch.nn

VIT = {"embed_dim": 48, "depth": 2, "num_heads": 3}
OPTIONS = argparse.Namespace(arch="x", lr=0.1, layers=[1, 2])


def named(**parts: nn.Module) -> nn.Module:
    """A model with these parts."""
    return nn.ModuleDict(parts)


def resnet() -> nn.Module:
    model = models.resnet18()
    model.fc = nn.Identity()
    return settled(model)


def vit() -> nn.Module:
    """As large as timm draws it: weights of any other size hide in its norms."""
    torch.manual_seed(5)
    return timm.create_model("vit_small_patch16_224", num_classes=0, **VIT).eval()


def byol(encoder: nn.Module) -> dict[str, Any]:
    whole = named(
        net_online=named(net=encoder),
        projector_online=named(net=heads.BYOLProjectionHead(512, 8, 4)),
        predictor_online=named(net=heads.BYOLPredictionHead(4, 8, 4)),
        classifier_online=nn.Linear(512, 20),
        net_target=named(net=resnet()),
        projector_target=named(net=heads.BYOLProjectionHead(512, 8, 4)),
    )
    return {
        "state_dict": whole.state_dict(),
        "opt_state_dict": {"state": {}},
        "scaler_state_dict": {},
        "epoch": 40,
        "itr": 3,
        "num_updates": 9,
    }


def simclr(encoder: nn.Module) -> dict[str, Any]:
    whole = named(convnet=encoder, projection=heads.SimCLRProjectionHead(512, 8, 4))
    wrapped = nn.DataParallel(whole).state_dict()
    return {"state_dict": {f"model.{name}": value for name, value in wrapped.items()}, "hparams": OPTIONS}


def moco(encoder: nn.Module) -> dict[str, Any]:
    encoder.fc = heads.MoCoProjectionHead(512, 8, 4).layers
    whole = named(encoder_q=encoder, encoder_k=resnet())
    state = {**nn.DataParallel(whole).state_dict(), "module.queue": torch.zeros(4, 9)}
    return {"epoch": 200, "arch": "resnet50", "state_dict": state, "optimizer": {"state": {}}}


def dino(encoder: nn.Module) -> dict[str, Any]:
    head = heads.DINOProjectionHead(48, 16, 8, 32)
    student = nn.DataParallel(named(backbone=vit(), head=head)).state_dict()
    own = named(backbone=encoder, head=head).state_dict()
    return {"student": {k: v * 0 for k, v in student.items()}, "teacher": own, "epoch": 100, "args": OPTIONS}


def mae(encoder: nn.Module) -> dict[str, Any]:
    wrapped = masked.MaskedVisionTransformerTIMM(encoder)
    options = {"num_patches": 196, "patch_size": 16, "embed_dim": 48, "decoder_embed_dim": 32, "decoder_depth": 1}
    decoder = masked.MAEDecoderTIMM(**options, decoder_num_heads=2)
    return {"model": {**wrapped.vit.state_dict(), **decoder.state_dict()}, "optimizer": {}, "epoch": 9, "args": OPTIONS}


def supervised(encoder: nn.Module) -> dict[str, Any]:
    encoder.fc = nn.Sequential(nn.Dropout(0.4), nn.Linear(512, 20))
    return {"state_dict": encoder.state_dict(), "opt_state_dict": {}, "epoch": 5}


def mae_segmentation(encoder: nn.Module) -> dict[str, Any]:
    return {"model": {**encoder.state_dict(), "decoder.0.weight": torch.zeros(6, 48, 1, 1)}}


METHODS: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], dict[str, Any]], str, set[str]]] = {
    "byol": (resnet, byol, "net_online.net.", {"net_target", "projector_online", "classifier_online"}),
    "simclr": (resnet, simclr, "model.module.convnet.", {"projection"}),
    "moco": (resnet, moco, "module.encoder_q.", {"encoder_k", "queue", "fc"}),
    "dino": (vit, dino, "backbone.", {"head"}),
    "mae": (vit, mae, "", {"mask_token", "decoder_blocks", "decoder_pred"}),
    "supervised": (resnet, supervised, "", {"fc"}),
    "mae-seg": (vit, mae_segmentation, "", {"decoder"}),
}
"""Row -> the encoder by its own library, the checkpoint's layout, the prefix, and what must be named as left out."""


@pytest.fixture(autouse=True)
def small_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of PatchTCGA with small networks and pictures."""
    for card in PTCGA200:
        small = {"width": None, "preprocess": replace(card.preprocess, resize_px=64, crop_px=64)}
        if card.architecture != "resnet50":
            small |= {"architecture": "vit_small_patch16_224", "timm_kwargs": VIT, "preprocess": card.preprocess}
        elif not card.timm_kwargs:
            small |= {"architecture": "resnet18"}
        monkeypatch.setitem(ENCODERS._targets, card.name, replace(card, **small))


def saved(kind: str, folder: Path) -> tuple[nn.Module, Path]:
    make, layout, *_ = METHODS[kind]
    encoder = make()
    torch.save(layout(encoder), folder / "ckpt.pth.tar")
    return encoder, folder / "ckpt.pth.tar"


@pytest.mark.parametrize("kind", METHODS)
def test_each_method_gives_the_features_of_its_own_encoder(kind: str, tmp_path: Path) -> None:
    encoder, file = saved(kind, tmp_path)
    *_, prefix, left_out = METHODS[kind]
    done = import_encoder(f"ptcga200-{kind}", file, tmp_path / "out")
    assert (done.loaded.prefix, done.loaded.share) == (prefix, 1)
    assert left_out <= set(done.beside)
    assert done.method.name == ENCODERS.get(f"ptcga200-{kind}").method
    assert done.reference
    assert done.difference <= TOLERANCE
    folder = load_encoder(EncoderChoice(name=str(tmp_path / "out"), device="cpu"))
    pixels = torch.randn(2, 3, folder.preprocess.crop_px, folder.preprocess.crop_px)
    if hasattr(encoder, "fc"):
        encoder.fc = nn.Identity()
    torch.testing.assert_close(run(folder._model, pixels), run(encoder, pixels), atol=1e-5, rtol=1e-5)
    straight = load_encoder(EncoderChoice(name=f"ptcga200-{kind}", weights=file, device="cpu"))
    assert np.array_equal(features(folder), features(straight))  # as `pathdata features` with card and file
    assert len(PATCHES) == 3


def test_a_dilated_resnet_50_of_torchvision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = models.segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=6, aux_loss=True)
    settled(whole.backbone)
    torch.save({"state_dict": whole.state_dict()}, tmp_path / "ckpt.pth")
    done = import_encoder("ptcga200-deeplabv3", tmp_path / "ckpt.pth", tmp_path / "out")
    assert set(done.beside) == {"classifier", "aux_classifier"}
    folder = load_encoder(EncoderChoice(name=str(tmp_path / "out"), device="cpu"))
    pixels = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        wanted = whole.eval().backbone(pixels)["out"]
        got = folder._model.forward_features(pixels)
    assert got.shape[-2:] == (8, 8)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_position_embeddings_are_resized_and_checked(tmp_path: Path) -> None:
    _, file = saved("mae", tmp_path)
    done = import_encoder("ptcga200-mae", file, tmp_path / "out", image_size=96)
    assert done.resized == "position embeddings resized from 14 x 14 to 6 x 6, bicubic"
    assert done.reference == "the formulas of a ViT"
    assert done.difference <= TOLERANCE
    assert ENCODERS.get("ptcga200-mae").preprocess.crop_px == 224
    assert load_encoder(EncoderChoice(name=str(tmp_path / "out"), device="cpu")).preprocess.crop_px == 96


def test_the_student_is_taken_where_there_is_no_teacher(tmp_path: Path) -> None:
    encoder = vit()
    content = dino(encoder)
    own = {f"module.{name}": value for name, value in content["teacher"].items()}
    torch.save({"student": own, "epoch": 3}, tmp_path / "ckpt.pth")
    done = import_encoder("ptcga200-dino", tmp_path / "ckpt.pth", tmp_path / "out")
    assert (done.loaded.container, done.loaded.prefix) == ("student", "module.backbone.")


def test_a_checkpoint_of_another_method_names_the_card_that_fits(tmp_path: Path) -> None:
    _, file = saved("byol", tmp_path)
    message = (
        r"checkpoint of BYOL \(it has net_online\.net\.\*\), ptcga200-moco is of MoCo v2.*pass ptcga200-byol in pl"
    )
    with pytest.raises(CheckpointError, match=message):
        import_encoder("ptcga200-moco", file, tmp_path / "out")
    with pytest.raises(PathPluginsError, match=r"unknown encoder 'ptcga200-boyl'\. Did you mean 'ptcga200-byol'"):
        import_encoder("ptcga200-boyl", file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_encoder_alone_fits_every_card_of_its_shape(tmp_path: Path) -> None:
    torch.save(resnet().state_dict(), tmp_path / "w.pth")
    assert import_encoder("ptcga200-moco", tmp_path / "w.pth", tmp_path / "out").method is None


def test_partial_weights_and_lost_statistics_are_refused(tmp_path: Path) -> None:
    content = byol(resnet())["state_dict"]
    online = {name: value for name, value in content.items() if not name.startswith("net_target.")}
    cut = {name: value for name, value in online.items() if "layer3" not in name}
    torch.save({"state_dict": cut}, tmp_path / "cut.pth")
    with pytest.raises(CheckpointError, match=r"it has 95 \(79%, and all are needed\), lacks 25 \(layer3\.0"):
        import_encoder("ptcga200-byol", tmp_path / "cut.pth", tmp_path / "out")
    torch.save({"state_dict": {**cut, **content, "net_online.net.conv1.weight": 0}}, tmp_path / "slow.pth")
    with pytest.raises(CheckpointError, match=r"whole encoder lies below 'net_target\.net\.' only, not below 'net_onl"):
        import_encoder("ptcga200-byol", tmp_path / "slow.pth", tmp_path / "out")
    still = {name: value for name, value in online.items() if "running" not in name}
    torch.save({"state_dict": still}, tmp_path / "still.pth")
    with pytest.raises(CheckpointError, match="lacks the running statistics of 20 batch norms"):
        import_encoder("ptcga200-byol", tmp_path / "still.pth", tmp_path / "out")


def test_other_numbers_than_the_reference_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card with another epsilon, as of a model that only has the same shape."""
    _, file = saved("mae", tmp_path)
    card = ENCODERS.get("ptcga200-mae")
    monkeypatch.setitem(ENCODERS._targets, card.name, replace(card, architecture="vit_small_patch32_224"))
    with pytest.raises(CheckpointError, match="does not fit"):
        import_encoder(card.name, file, tmp_path / "out")
    content = torch.load(file, weights_only=False)
    content["model"]["norm.weight"][0] = float("nan")
    torch.save(content, file)
    monkeypatch.setitem(ENCODERS._targets, card.name, card)
    with pytest.raises(CheckpointError, match=r"other features than the formulas of a ViT .*nothing was written"):
        import_encoder(card.name, file, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["ckpt.pth.tar"]


def test_what_no_folder_holds_is_refused(tmp_path: Path) -> None:
    torch.save(resnet().state_dict(), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"conch: its model is more than one of timm.*--weights"):
        import_encoder("conch", tmp_path / "w.pth", tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["hibou-b", "midnight-12k", "kaiko-vitl14", "ctranspath", "musk", "siglip2-base-patch16-224"]
)
def test_rows_with_layers_of_their_own_become_folders(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gated layers, registers, a stem, norms within: the folder says them in plain values and is read again."""
    card = ENCODERS.get(name)
    small = replace(tiny(card), preprocess=replace(card.preprocess, resize_px=SIDE, crop_px=SIDE))
    monkeypatch.setitem(ENCODERS._targets, name, small)
    model = settled(build_model(small))
    torch.save(model.state_dict(), tmp_path / "w.pth")
    done = import_encoder(name, tmp_path / "w.pth", tmp_path / "folder")
    assert (done.method, done.reference, done.resized) == (None, None, "")
    folder, direct = (
        load_encoder(EncoderChoice(name=str(tmp_path / "folder"), device="cpu")),
        load_encoder(EncoderChoice(name=name, weights=tmp_path / "w.pth", device="cpu")),
    )
    assert folder.preprocess == direct.preprocess
    np.testing.assert_array_equal(features(folder), features(direct))
