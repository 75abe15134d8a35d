"""Every command of the README, run as it stands there on small data, in the environment of its trainer."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pickle
import re
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from example_package import bundled_pip
from prepared_python import LLAMAFACTORY, XTUNER, Prepared

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHELL = [body.splitlines() for kind, body in BLOCKS if kind == "bash"]
IN_XTUNER = [line for lines in SHELL if any(line.startswith("xtuner ") for line in lines) for line in lines]
IN_LLAMAFACTORY = [line for lines in SHELL for line in lines if line not in IN_XTUNER]

BY_CI = ("make demo", "make test")
"""Lines of .ci/run, which runs them in a fresh clone."""
INSTEAD = {
    "--encoder gigapath --weights pytorch_model.bin": "--encoder convnext_atto --random-weights 0",
    "pathgen-clip-l.pt": "tiny_clip.pt",
    "iter_N": "iter_2",
}
"""What stands in for weights of gigabytes (a published name with other shapes is refused), and for a number."""
SMALL = "image_size=48 centre_px=null num_train_epochs=1 warmup_epochs=0 per_device_train_batch_size=8 bf16=false"
ADDED = {
    "pip install": "--dry-run --no-index --no-build-isolation",
    "pathdata pathgen manifest": "--api $GDC",
    "pathdata pathgen download": "--api $GDC",
    "pathplugins classify train classify/ptcga200_byol": f"{SMALL} encoder=test_resnet projection_hidden=32",
    "pathplugins classify train classify/pcam200_linear": SMALL,
}
"""Beginning of a command -> what is added to it: nothing may be installed or downloaded, and no picture is 512 px."""
SLIDE_2 = "TCGA-22-5474-01Z-00-DX1.8736FB24-7E65-4ACB-9325-382D7F864F62"


def test_commands_were_found() -> None:
    assert len(IN_LLAMAFACTORY) >= 20, IN_LLAMAFACTORY
    assert len(IN_XTUNER) >= 10, IN_XTUNER
    assert set(BY_CI) <= {*IN_LLAMAFACTORY, *(ROOT / ".ci" / "run").read_text().splitlines()}
    assert set(BY_CI) <= set((ROOT / ".ci" / "run").read_text().splitlines())
    for texts in (INSTEAD, ADDED):
        assert [text for text in texts if text not in README] == []


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 200


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the README says one needs, small."""
    import torch

    from pathplugins.data_tools.slides.demo import write_demo_slide
    from pathplugins.models.compose.tiny_llm import build_tiny_llm
    from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT

    root = tmp_path_factory.mktemp("readme")
    (root / "slides").mkdir()
    write_demo_slide(root / "slides" / "slide_1.svs", (1536, 1280), kind=1)
    (table,) = [body for kind, body in BLOCKS if kind == "csv"]
    (root / "data").mkdir()
    head, row = table.splitlines(keepends=True)
    for split, rows in {"train": 2, "val": 1}.items():  # a batch of stage 3 is two
        (root / "data" / f"{split}.csv").write_text(head + rows * row, encoding="utf-8")
    build_tiny_llm(root / "Llama-3.2-1B-Instruct", [table])
    tower = LongNetViT(LongNetConfig(in_chans=320, embed_dim=768, depth=2))
    torch.save({"model": tower.state_dict()}, root / "slide_encoder.pth")
    return root


@pytest.fixture(scope="module")
def pathgen(place: Path) -> Path:
    """The same folder with a tiny Vicuna, a tiny CLIP of OpenCLIP, and two rows of PathGen-1.6M."""
    from llava_reference import tiny_vicuna
    from tiny_open_clip import write_open_clip

    tiny_vicuna(place / "vicuna-13b-v1.5", ["Tissue at 0, 0. Describe the image."] * 4)
    write_open_clip(place / "tiny_clip.pt")
    places = [(0, 0), (672, 512)]
    rows = [{"wsi_id": SLIDE_2, "position": [str(x), str(y)], "caption": f"Tissue at {x}, {y}."} for x, y in places]
    (place / "PathGen-1.6M.json").write_text(json.dumps(rows))
    return place


@pytest.fixture(scope="module")
def patches(place: Path) -> Path:
    """The same folder with PTCGA200 in two parts of an archive and their sums, and PCam200."""
    from pathplugins.classify.drawn import draw_pcam200, draw_ptcga200

    draw_pcam200(place / "datasets" / "PCam200", cases=(2, 1, 1), patches=4, side=64)
    drawn = draw_ptcga200(place / "drawn" / "PTCGA200", slides=3, patches=4, side=64)
    with tarfile.open(place / "whole.tar.gz", "w:gz") as archive:
        archive.add(drawn, "PTCGA200")
    content = (place / "whole.tar.gz").read_bytes()
    sums = ""
    for name, part in (("PTCGA200_p_aa", content[:999]), ("PTCGA200_p_ab", content[999:])):
        (place / name).write_bytes(part)
        sums += f"{hashlib.md5(part, usedforsecurity=False).hexdigest()}  {name}\n"
    (place / "checksums.txt").write_text(sums)
    return place


@pytest.fixture(scope="module")
def gdc(pathgen: Path) -> Iterator[str]:
    """Address of a server that has the slide of those rows, and nothing else."""
    from gdc_server import serve

    with serve() as server:
        server.add(1, f"{SLIDE_2}.svs", (pathgen / "slides" / "slide_1.svs").read_bytes())
        yield server.url


@pytest.fixture(scope="module")
def shell(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Run a line of the README in the folder, with this interpreter's programs first on PATH, and a pip."""
    tools = tmp_path_factory.mktemp("tools")
    pip = tools / "pip"  # an environment that uv has made holds none
    pip.write_text(f'#!/bin/sh\nexec {shlex.join(bundled_pip())} "$@"\n')
    pip.chmod(0o755)
    path = f"{Path(sys.executable).parent}{os.pathsep}{tools}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "PATHPLUGINS_CACHE": str(place / "cache"), "HF_HOME": str(place / "hf")}
    own |= {"OMP_NUM_THREADS": "1"}
    modules = XTUNER if importlib.util.find_spec("llamafactory") is None else LLAMAFACTORY
    prepared = Prepared(tmp_path_factory.mktemp("prepared"), {**os.environ, **own}, modules)
    prepared.wait()
    own |= prepared.variables(own)

    def run(line: str, *, cwd: Path = place, **variables: str) -> str:
        for published, small in INSTEAD.items():
            line = line.replace(published, small)
        line = " ".join([line, *(more for start, more in ADDED.items() if line.startswith(start))])
        environment = {**os.environ, **own, **variables}
        done = subprocess.run(
            ["bash", "-c", line], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done.stdout + done.stderr

    yield run
    prepared.close()


@pytest.mark.host
def test_in_llamafactory(pathgen: Path, patches: Path, gdc: str, shell: Callable[..., str]) -> None:
    """One test, since each command needs what the one before it wrote."""
    if importlib.util.find_spec("llamafactory") is None:
        pytest.skip("LLaMA-Factory is not installed here")
    clone, enter, *rest = IN_LLAMAFACTORY
    if (ROOT / ".git").exists():  # no clone of an archive
        shell(f"{clone} && {enter} && test -f Makefile", cwd=pathgen.parent, REPOSITORY=str(ROOT))
    for line in rest:
        if line not in BY_CI:
            shell(line, cwd=ROOT if line.startswith("pip ") else pathgen, GDC=gdc)
    assert (pathgen / "saves/wsi_llava/stage2/mm_projector.bin").is_file()
    assert (pathgen / "saves/wsi_llava/stage3/adapter_model.safetensors").is_file()
    assert (pathgen / "tiles/overlays/slide_1.png").is_file()
    assert (pathgen / "slide_1.geojson").is_file()
    images = [image for sample in json.loads((pathgen / "data/pathgen.json").read_text()) for image in sample["images"]]
    assert [(pathgen / "data" / image).is_file() for image in images] == [True, True]
    assert (pathgen / "saves/pathgen/phase1/mm_projector.bin").is_file()
    assert (pathgen / "saves/pathgen/phase2/model.safetensors").is_file()
    assert (patches / "runs/ptcga200_byol/model.safetensors").is_file()
    assert "<html" in (patches / "report/report.html").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert [body for kind, body in BLOCKS if kind == "python"] == shown[:1]
    for code in shown:
        shell(f"python - <<'END'\n{code}\nEND")


# Paths stand at the top of a configuration; the rest makes two short steps of it.
PATHS = {
    "meta-llama/Meta-Llama-3-8B-Instruct": "Llama-3.2-1B-Instruct",
    "data/images": "images",
    "work/align/iter_N.pth": "work/align/iter_2.pth",
    "lmsys/vicuna-13b-v1.5": "vicuna-13b-v1.5",
    "work/pathgen_phase1/iter_N.pth": "work/phase1/iter_1.pth",
    "pathgen-clip-l.pt": "tiny_clip.pt",
    "data/pathgen_initial.json": "data/pathgen.json",
    "data/pathgen_desp.json": "data/pathgen.json",
}
TWO_STEPS = """
parts["projector_config"].update(num_hidden_layers=1, num_attention_heads=4, intermediate_size=32)
for part in (model.llm, train_dataloader.dataset, train_dataloader.collate_fn):
    part.update(model=parts)
train_dataloader.update(batch_size=2, num_workers=0)
max_epochs = 1
train_cfg.update(max_epochs=max_epochs)
param_scheduler[0].update(end=1)
custom_hooks[0].update(max_new_tokens=2)
"""
NO_WARM_UP = "\nparam_scheduler = []\n"
"""Three hundredths of one step are none, which MMEngine refuses."""


@pytest.fixture
def images(pathgen: Path) -> Path:
    """The same folder with what the section on XTuner needs."""
    import numpy as np
    import torch
    from PIL import Image
    from transformers import CLIPVisionConfig, CLIPVisionModel

    place = pathgen
    (place / "images").mkdir()
    for number in (1, 2, 3, 4):
        pixels = np.random.default_rng(number).integers(0, 256, (60 + number, 90, 3), np.uint8)
        Image.fromarray(pixels).save(place / "images" / f"{number}.png")
        Image.fromarray(pixels).save(place / "images" / f"train_{number}.jpg")
    captions = [{"image": f"{number}.png", "caption": f"Tissue number {number}."} for number in (1, 2, 3, 4)]
    (place / "captions.json").write_text(json.dumps(captions))
    answers = [{"image": f"train_{number}", "question": "Is it?", "answer": "yes"} for number in (1, 2, 3, 4)]
    (place / "train_qa.pkl").write_bytes(pickle.dumps(answers))
    pairs = [
        {
            "id": str(number),
            "conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": f"Tissue {number}."}],
            "images": [str(place / "images" / f"{number}.png")],
        }
        for number in (1, 2)
    ]
    (place / "data" / "pathgen.json").write_text(json.dumps(pairs))
    size = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2}
    size |= {"num_attention_heads": 4, "patch_size": 16}
    state = CLIPVisionModel(CLIPVisionConfig(**size)).state_dict()
    (place / "plip").mkdir()
    torch.save(state, place / "plip" / "plip_80w_196token.bin")
    (place / "plip" / "config.json").write_text(json.dumps(size))
    return place


@pytest.mark.host
def test_in_xtuner(images: Path, shell: Callable[..., str]) -> None:
    """XTuner says nothing by its exit code: what each step wrote is what the next one needs, and is looked at."""
    if importlib.util.find_spec("xtuner") is None:
        pytest.skip("XTuner is not installed here")
    for line in IN_XTUNER:
        log = shell(line)
        if "configs copy" in line:
            for config in (*images.glob("pallava_*.py"), *images.glob("pathgen_*.py")):
                _make_small(config)
        elif line.startswith("xtuner train"):
            written = sorted((images / line.split("--work-dir ")[1].split()[0]).glob("iter_*.pth"))
            assert written, log[-4000:]
    assert (images / "hf_model" / "model.safetensors").is_file()


def _make_small(config: Path) -> None:
    """Set the paths of a configuration, as the README says, and let it end after one or two steps."""
    text = config.read_text(encoding="utf-8")
    if NO_WARM_UP not in text and TWO_STEPS not in text:
        for published, small in PATHS.items():
            text = text.replace(f'"{published}"', f'"{small}"')
        config.write_text(text + (TWO_STEPS if config.name.startswith("pallava") else NO_WARM_UP))
