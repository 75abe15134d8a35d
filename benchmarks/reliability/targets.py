"""What is fuzzed: well-formed files of every kind that users give, each with the call that reads it to its end."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

Read = Callable[[Path], object]

SLIDE_PX = (512, 384)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Files of one kind, and how they are read."""

    name: str
    read: Read
    """Takes the file; may write into the folder of the file, and nowhere else."""
    seeds: Mapping[str, bytes]
    """Name -> content of each well-formed file."""
    text: bool = False
    """Whether people edit such files."""


def targets(folder: Path) -> list[Target]:
    """Return all targets; ``folder`` is where the seeds are made."""
    return [*_bags(folder), *_records(folder), *_tables(), *_weights(folder), *_archives(), *_slides(folder)]


def _content(folder: Path, name: str, write: Callable[[Path], object]) -> bytes:
    path = folder / name
    write(path)
    return path.read_bytes()


def _bags(folder: Path) -> list[Target]:
    from pathplugins.data.bags import BagAttributes, read_bag, write_bag
    from pathplugins.data_tools.bags.findings import reports_of

    rng = np.random.default_rng(0)
    features, yx = rng.normal(size=(12, 24)).astype(np.float32), np.stack([np.arange(12), np.arange(12)], 1) * 256
    sizes = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
    about = BagAttributes(slide_id="s", encoder="uni", level0_width=8192, level0_height=8192, **sizes)

    def trident(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("features", data=features, chunks=(1, 24), maxshape=(None, 24))
            coords = file.create_dataset("coords", data=yx[:, ::-1] * 2, chunks=(1, 2), maxshape=(None, 2))
            for name, value in {"patch_size": 256, "patch_size_level0": 512, "level0_magnification": 40}.items():
                coords.attrs[name] = value
            file["features"].attrs["encoder"] = "uni_v1"

    def clam(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["features"], file["coords"] = features, yx

    def inspect(path: Path) -> None:
        for _ in reports_of(path):
            pass

    def train(path: Path) -> None:
        read_bag(path)

    h5 = {
        "ours.h5": _content(folder, "ours.h5", lambda p: write_bag(p, [features], yx, about)),
        "trident.h5": _content(folder, "trident.h5", trident),
        "clam.h5": _content(folder, "clam.h5", clam),
    }
    pt = {"rows.pt": _saved({"features": features}), "bag.pt": _saved(features), "one.pt": _saved(features[None])}
    return [
        Target(name="bag, inspected", read=inspect, seeds=h5),
        Target(name="bag, read for training", read=train, seeds=h5),
        Target(name=".pt bag, inspected", read=inspect, seeds=pt),
    ]


def _saved(value: object) -> bytes:
    import torch

    def tensors(value: object) -> object:
        if isinstance(value, dict):
            return {name: tensors(held) for name, held in value.items()}
        return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value

    file = io.BytesIO()
    torch.save(tensors(value), file)
    return file.getvalue()


def _lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _records(folder: Path) -> list[Target]:
    from pathplugins.data.formats import READERS

    def reads(name: str) -> Read:
        def read(path: Path) -> None:
            pictures = {"media_dir": path.parent, "extract_images": True} if path.suffix == ".parquet" else {}
            READERS.get(name).stream(path, **pictures).lists()

        return read

    talk = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A gland."}]
    llava = [{"id": f"s{i}", "image": f"{i}.png", "conversations": talk} for i in range(4)]
    asked = [{"question_id": i, "image": "p/s.pt", "question": "Why?", "T-answer": "So."} for i in range(3)]
    chat = [{"messages": [{"role": "user", "content": "<image>a"}, {"role": "assistant", "content": "b"}]}]
    plain = "h5_path,caption,question,answer,slide_id,dataset,choices\r\n"
    slides = plain + "".join(f"a{i}.h5,\"A, b.\",What?,Yes,s{i},d,\"['Yes', 'No']\"\r\n" for i in range(4))
    choices = "ID,Slide,Tumor,Broad Category,Narrow Category,Question,A,B,C,D,Answer\n"
    bench = choices + "".join(f"{i},S-{i},BRCA,x,y,What?,one,two,three,four,B\n" for i in range(4))
    quiz = "Figure_path,Question,Choice A,Choice B,Choice C,Choice D,Answer_label\na.jpg,Which?,A:x,B:y,C:z,D:w,C\n"
    table = {name: [f"{name}{i}" for i in range(4)] for name in ("question", "answer")}
    seeds: dict[str, dict[str, bytes]] = {
        "llava": {"a.json": json.dumps(llava).encode(), "a.jsonl": _lines(*llava)},
        "pathgen": {"a.jsonl": _lines(*({"image": f"{i}.png", "caption": "A.", "wsi_id": "w"} for i in range(4)))},
        "slidechat": {"a.json": json.dumps([{**one, "image": ["s.csv"]} for one in llava]).encode()},
        "wsi_bench": {"a.jsonl": _lines(*asked)},
        "sharegpt": {"a.json": json.dumps(chat).encode()},
        "wsi_csv": {"a.csv": slides.encode(), "a.tsv": slides.replace(",", "\t").encode()},
        "slidebench": {"a.csv": bench.encode()},
        "pmc_vqa": {"a.csv": quiz.encode()},
        "quilt_1m": {"a.csv": b"caption,image_path,subset,split\nA gland.,a.jpg,quilt,train\nB,b.jpg,openpath,val\n"},
        "path_vqa": {
            "train.parquet": _content(folder, "train.parquet", lambda path: _parquet(path, table)),
            "train_qa.pkl": pickle.dumps([{"image": "a", "question": "b?", "answer": "c", "answer_type": "other"}]),
        },
    }
    made = []
    for name, files in seeds.items():
        binary = {file: content for file, content in files.items() if file.endswith((".parquet", ".pkl"))}
        text = {file: content for file, content in files.items() if file not in binary}
        made += [Target(name=f"{name}, text", read=reads(name), seeds=text, text=True)] if text else []
        for file, content in binary.items():
            made.append(Target(name=f"{name}, {Path(file).suffix}", read=reads(name), seeds={file: content}))
    return made


def _parquet(path: Path, columns: dict[str, list[str]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    image = pa.array([{"bytes": _picture(), "path": "a.png"}] * 4)
    parquet.write_table(pa.table({"image": image, **columns}), path)


def _picture() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (9, 7), (200, 120, 170)).save(file, "PNG")
    return file.getvalue()


def _tables() -> list[Target]:
    from pathplugins.classify.settings import read_settings
    from pathplugins.data.splits.file import read_split
    from pathplugins.data_tools.captioning.rows import read_rows
    from pathplugins.data_tools.pathgen.sources.gdc import read_manifest
    from pathplugins.data_tools.slides.mpp_table import read_mpp_table
    from pathplugins.data_tools.tables.labels import read_labels
    from pathplugins.data_tools.tiling.process_list import read_process_list
    from pathplugins.data_tools.tiling.spec import TilingSpec

    configs = Path(__file__).resolve().parents[2] / "pathplugins" / "classify" / "configs"
    recipes = {path.name: path.read_bytes() for path in configs.glob("*.yaml")}
    folds = [{"train": ["a.png", "b.png"], "valid": ["c.png"], "test": []}]
    split = {"format": "pathplugins split 1", "by": "slide", "seed": 0, "source": "x", "folds": folds}
    uuid = "0b0c0d0e-0000-4000-8000-000000000000"
    manifest = f"id\tfilename\tmd5\tsize\tstate\n{uuid}\ta.svs\t{'0' * 32}\t17\tlive\n"
    published = {
        fold: {part: {"imgs": [f"{part}.png"], "idx": [0]} for part in ("train", "val", "test")} for fold in (0, 1)
    }
    rows = [{"image": f"{i}.png", "wsi_id": "w", "x": 1, "y": 2} for i in range(3)]

    def recipe(path: Path) -> None:
        read_settings(path)

    def manifest_rows(path: Path) -> None:
        for _ in read_rows(path):
            pass

    return [
        Target(name="recipe YAML", read=recipe, seeds=recipes, text=True),
        Target(name="split JSON", read=read_split, seeds={"a.json": json.dumps(split).encode()}, text=True),
        Target(name="split pickle", read=read_split, seeds={"folds.pickle": pickle.dumps(published)}),
        Target(name="GDC manifest", read=read_manifest, seeds={"m.txt": manifest.encode()}, text=True),
        Target(name="mpp table", read=read_mpp_table, seeds={"m.csv": b"slide_id,mpp\na,0.25\nb.svs,0.5\n"}, text=True),
        Target(name="labels", read=read_labels, seeds={"l.csv": b"slide_id,label\na,LUAD\nb,LUSC\n"}, text=True),
        Target(name="captioning manifest", read=manifest_rows, seeds={"manifest.jsonl": _lines(*rows)}, text=True),
        Target(
            name="process list",
            read=lambda path: read_process_list(path, TilingSpec()),
            seeds={"p.csv": b"slide_id,slide,process,min_tissue\na,a.svs,1,0.5\nb,b.svs,0,\n"},
            text=True,
        ),
    ]


def _weights(folder: Path) -> list[Target]:
    import torch
    from safetensors.torch import save_file

    from pathplugins.weights.reader import read_weights

    held = {"a.weight": np.ones((3, 5), np.float32), "a.bias": np.zeros(3, np.float32), "b": np.ones(7, np.int64)}
    tensors = {name: torch.from_numpy(value) for name, value in held.items()}
    legacy = io.BytesIO()
    torch.save(tensors, legacy, _use_new_zipfile_serialization=False)
    seeds = {
        "a.safetensors": _content(folder, "a.safetensors", lambda path: save_file(tensors, path)),
        "a.pth": _saved({"state_dict": held, "epoch": 3}),
        "old.pth": legacy.getvalue(),
    }
    return [
        Target(name=f"weights, {name}", read=read_weights, seeds={name: content}) for name, content in seeds.items()
    ]


def _archives() -> list[Target]:
    from pathplugins.data_tools.patchtcga.parts import archive_of
    from pathplugins.data_tools.patchtcga.unpack import Place, unpack

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

    files = {"set.zip": zipped, "set.tar.gz": tarred, "set.tar": plain}
    return [
        Target(name=f"archive, {name[3:]}", read=read, seeds={name: file.getvalue()}) for name, file in files.items()
    ]


def _slides(folder: Path) -> list[Target]:
    from pathplugins.data_tools.slides.demo import write_demo_slide
    from pathplugins.data_tools.slides.resolution import resolve
    from pathplugins.data_tools.slides.slide import Slide
    from pathplugins.data_tools.tissue.own_mask import OwnMask, load_mask

    square = {"type": "Polygon", "coordinates": [[[10, 10], [200, 10], [200, 150], [10, 150], [10, 10]]]}
    several = {"type": "MultiPolygon", "coordinates": [square["coordinates"], [[[0, 0], [9, 0], [9, 9], [0, 0]]]]}
    named = {"classification": {"name": "Tumor", "color": [1, 2, 3]}}
    shapes = [{"type": "Feature", "geometry": shape, "properties": named} for shape in (square, several)]
    geojson = json.dumps({"type": "FeatureCollection", "features": shapes}).encode()

    def mask(path: Path) -> None:
        own = OwnMask(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        load_mask(own, SLIDE_PX, (96, 128))

    def slide(path: Path) -> None:
        with Slide(path) as opened:
            resolve(opened)
            opened.thumbnail((64, 48))
            opened.read(0, 0, (256, 256), (256, 256))

    svs = _content(folder, "demo.svs", lambda path: write_demo_slide(path, SLIDE_PX))
    return [
        Target(name="GeoJSON", read=mask, seeds={"a.geojson": geojson}, text=True),
        Target(name="TIFF, all bytes", read=slide, seeds={"a.svs": svs}),
    ]
