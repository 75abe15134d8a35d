"""Weights, and archives of files."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from benchmarks.reliability.targets.target import Target, content, saved


def weights(folder: Path) -> list[Target]:
    """Return the targets of files of weights."""
    import torch
    from safetensors.torch import save_file

    from pathplugins.weights.reader import read_weights

    values = {"a.weight": np.ones((3, 5), np.float32), "a.bias": np.zeros(3, np.float32), "b": np.ones(7, np.int64)}
    tensors = {name: torch.from_numpy(value) for name, value in values.items()}
    legacy = io.BytesIO()
    torch.save(tensors, legacy, _use_new_zipfile_serialization=False)
    seeds = {
        "a.safetensors": content(folder, "a.safetensors", lambda path: save_file(tensors, path)),
        "a.pth": saved({"state_dict": values, "epoch": 3}),
        "old.pth": legacy.getvalue(),
    }
    sharded = json.dumps({"metadata": {}, "weight_map": dict.fromkeys(values, "a.safetensors")}).encode()

    def shards(path: Path) -> None:
        (path.parent / "a.safetensors").write_bytes(seeds["a.safetensors"])
        read_weights(path.parent)

    index = "model.safetensors.index.json"
    return [
        Target(name="weights, index of shards", read=shards, seeds={index: sharded}, text=True),
        *_encoder_folders(),
        *(Target(name=f"weights, {name}", read=read_weights, seeds={name: held}) for name, held in seeds.items()),
    ]


def _encoder_folders() -> list[Target]:
    from pathplugins.encoders.hub_folder import folder_card

    mean = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    timm = {"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {"input_size": [3, 224, 224], **mean}}
    vit = {"model_type": "vit", "hidden_act": "gelu", "hidden_size": 32, "num_hidden_layers": 2, "patch_size": 8}
    clip = {"model_type": "clip", "projection_dim": 16, "vision_config": {**vit, "hidden_act": "quick_gelu"}}
    processor = {"size": {"shortest_edge": 224}, "resample": 3, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    folders = [("timm", timm), ("vit", vit), ("clip", clip)]

    def config(path: Path) -> None:
        (path.parent / "preprocessor_config.json").write_text(json.dumps(processor))
        path.rename(path.parent / "config.json")
        folder_card(path.parent)

    def preprocessor(path: Path) -> None:
        (path.parent / "config.json").write_text(json.dumps(vit))
        folder_card(path.parent)

    seeds = {f"{name}.json": json.dumps(value).encode() for name, value in folders}
    held = {"preprocessor_config.json": json.dumps(processor).encode()}
    return [
        Target(name="encoder folder, config.json", read=config, seeds=seeds, text=True),
        Target(name="encoder folder, preprocessor_config.json", read=preprocessor, seeds=held, text=True),
    ]


def archives() -> list[Target]:
    """Return the targets of archives."""
    from pathplugins.data_tools.patchtcga.parts import archive_of
    from pathplugins.data_tools.patchtcga.unpack import Place, unpack
    from pathplugins.weights.archive import unpacked

    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(4):
            archive.writestr(f"set/c{i % 2}/{i}.txt", f"{i}" * 200)
    with tarfile.open(fileobj=tarred, mode="w:gz") as archive:
        for i in range(4):
            info = tarfile.TarInfo(f"set/c{i % 2}/{i}.txt")
            info.size = 200
            archive.addfile(info, io.BytesIO(f"{i}".encode() * 200))
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for i in range(2):
            info = tarfile.TarInfo(f"set/{i}.txt")
            info.size = 700
            archive.addfile(info, io.BytesIO(b"y" * 700))

    def read(path: Path) -> None:
        unpack(Place(out=path.parent / "out", name="set"), archive_of([path]))

    weights = io.BytesIO()
    with tarfile.open(fileobj=weights, mode="w:gz") as archive:
        for name in ("plip/config.json", "plip/pytorch_model.bin", "plip/._config.json"):
            info = tarfile.TarInfo(name)
            info.size = 90
            archive.addfile(info, io.BytesIO(b"z" * 90))

    def download(path: Path) -> None:
        unpacked(path, path.parent / "cache")

    files = {"set.zip": zipped, "set.tar.gz": tarred, "set.tar": plain}
    return [
        Target(name="plip.tar.gz", read=download, seeds={"plip.tar.gz": weights.getvalue()}),
        *(
            Target(name=f"archive, {name[3:]}", read=read, seeds={name: file.getvalue()})
            for name, file in files.items()
        ),
    ]
