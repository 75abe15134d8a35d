"""Every command of the README, run as it stands there on small data, in the environment of its trainer."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, body in BLOCKS if kind == "bash" for line in body.splitlines()]
XTUNER = re.search(r"^## .* in XTuner\n(.*?)^## ", README, re.MULTILINE | re.DOTALL)[1]
IN_XTUNER = [command for command in COMMANDS if command in XTUNER]
PATHGEN = re.search(r"^## PathGen-1.6M.*?\n(.*?)^## ", README, re.MULTILINE | re.DOTALL)[1]
IN_PATHGEN = [command for command in COMMANDS if command in PATHGEN]

SHOWN_BY = {
    "make demo": ".ci/run",
    "make demo-pallava": ".ci/run",
    "make demo-pathgen": ".ci/run",
    "make test": ".ci/run",
    'pip install ".[wsi]"': "tests/test_packaging.py",
    'pip install ".[wsi,pathgen]"': "Makefile",
    "pathdata pathgen manifest PathGen-1.6M.json --out manifest.txt": "tests/data_tools/pathgen/sources/test_needed.py",
    "pathdata pathgen download manifest.txt --out slides --yes": "tests/data_tools/pathgen/sources/test_download.py",
    **{command: "tests/llamafactory/test_pathgen.py" for command in IN_PATHGEN if "llamafactory-cli train" in command},
    **{command: "tests/xtuner/test_pathgen.py" for command in IN_PATHGEN if "xtuner train" in command},
}
"""Commands that another file runs, which must hold the given words."""
WORDS = {
    ".ci/run": ("make test", "make demo", "make demo-pallava", "make demo-pathgen"),
    "Makefile": ("wsi,test", "pathgen"),
    "tests/test_packaging.py": ("pip", "install"),
    "tests/data_tools/pathgen/sources/test_needed.py": ('"pathgen", "manifest"', '"--out"'),
    "tests/data_tools/pathgen/sources/test_download.py": ('"pathgen", "download"', '"--out"', '"--yes"'),
    "tests/llamafactory/test_pathgen.py": ('run("train", "pathgen_phase1.yaml"', 'run("train", "pathgen_phase2.yaml"'),
    "tests/xtuner/test_pathgen.py": ("pathgen_phase1", "pathgen_phase2", "xtuner"),
}

# What a laptop has instead of the published weights, and two steps instead of ten epochs.
INSTEAD = {"--encoder gigapath --weights pytorch_model.bin": "--encoder convnext_atto --random-weights 0"}
MODEL = ["vision_config.num_heads=4"]
SMALL = [
    *MODEL,
    "bf16=false",
    "max_steps=2",
    "save_steps=2",
    "eval_steps=2",
    "gradient_accumulation_steps=1",
    "preprocessing_num_workers=1",
    "dataloader_num_workers=0",
    "dataloader_drop_last=false",
    "overwrite_output_dir=true",
]


def test_some_commands_were_found() -> None:
    assert len(COMMANDS) >= 20, COMMANDS
    assert len(IN_XTUNER) >= 8, IN_XTUNER
    assert len(IN_PATHGEN) >= 9, IN_PATHGEN


@pytest.mark.parametrize("command", SHOWN_BY)
def test_commands_that_others_run(command: str) -> None:
    assert command in COMMANDS
    text = (ROOT / SHOWN_BY[command]).read_text(encoding="utf-8")
    assert all(words in text for words in WORDS[SHOWN_BY[command]])


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
    for split in ("train", "val"):
        (root / "data" / f"{split}.csv").write_text(table, encoding="utf-8")
    places = [(0, 0), (672, 512)]
    rows = [{"wsi_id": "slide_1", "position": [str(x), str(y)], "caption": f"Tissue at {x}, {y}."} for x, y in places]
    (root / "PathGen-1.6M.json").write_text(json.dumps(rows))
    build_tiny_llm(root / "Llama-3.2-1B-Instruct", [table])
    tower = LongNetViT(LongNetConfig(in_chans=320, embed_dim=32, depth=2, num_heads=4))
    torch.save({"model": tower.state_dict()}, root / "slide_encoder.pth")
    return root


@pytest.mark.host
def test_the_walk_through(place: Path) -> None:
    """One test, since each command needs what the one before it wrote."""
    if importlib.util.find_spec("llamafactory") is None:
        pytest.skip("LLaMA-Factory is not installed here")
    ran = []
    for command in COMMANDS:
        if command in SHOWN_BY or command in IN_XTUNER:
            continue
        for published, small in INSTEAD.items():
            command = command.replace(published, small)
        words = shlex.split(command)
        program = next(word for word in words if "=" not in word)
        if program == "llamafactory-cli":
            words += SMALL if "train" in words else MODEL
        ran.append(_run(words, place))
    assert (place / "saves/wsi_llava/stage2/mm_projector.bin").is_file()
    assert (place / "saves/wsi_llava/stage3/adapter_model.safetensors").is_file()
    assert (place / "tiles/overlays/slide_1.png").is_file()
    images = [image for sample in json.loads((place / "data/pathgen.json").read_text()) for image in sample["images"]]
    assert [(place / "data" / image).is_file() for image in images] == [True, True]
    assert (place / "pathgen_phase1.py").is_file()
    assert len(ran) == len(COMMANDS) - len(SHOWN_BY) - len(IN_XTUNER)
    (code,) = [body for kind, body in BLOCKS if kind == "python"]
    _run([sys.executable, "-c", code], place)


# Paths stand at the top of a configuration; the rest makes two short steps of it, one on each of two processes.
PATHS = {
    "meta-llama/Meta-Llama-3-8B-Instruct": "Llama-3.2-1B-Instruct",
    "data/images": "images",
    "work/align/iter_N.pth": "work/align/iter_2.pth",
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


@pytest.fixture
def images(place: Path) -> Path:
    """The same folder with what the section on XTuner needs."""
    import numpy as np
    import torch
    from PIL import Image
    from transformers import CLIPVisionConfig, CLIPVisionModel

    (place / "images").mkdir()
    for number in (1, 2, 3, 4):
        pixels = np.random.default_rng(number).integers(0, 256, (60 + number, 90, 3), np.uint8)
        Image.fromarray(pixels).save(place / "images" / f"{number}.png")
        Image.fromarray(pixels).save(place / "images" / f"train_{number}.jpg")
    captions = [{"image": f"{number}.png", "caption": f"Tissue number {number}."} for number in (1, 2, 3, 4)]
    (place / "captions.json").write_text(json.dumps(captions))
    answers = [{"image": f"train_{number}", "question": "Is it?", "answer": "yes"} for number in (1, 2, 3, 4)]
    (place / "train_qa.pkl").write_bytes(pickle.dumps(answers))
    size = {
        "hidden_size": 24,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "patch_size": 16,
    }
    state = CLIPVisionModel(CLIPVisionConfig(**size)).state_dict()
    (place / "plip").mkdir()
    torch.save(state, place / "plip" / "plip_80w_196token.bin")
    (place / "plip" / "config.json").write_text(json.dumps(size))
    return place


@pytest.mark.host
def test_the_section_on_xtuner(images: Path) -> None:
    """XTuner says nothing by its exit code: what each step wrote is what the next one needs, and is looked at."""
    if importlib.util.find_spec("xtuner") is None:
        pytest.skip("XTuner is not installed here")
    for command in IN_XTUNER:
        log = _run(shlex.split(command.replace("iter_N", "iter_2")), images)
        if "configs copy" in command:
            for config in images.glob("pallava_*.py"):
                text = config.read_text()
                for published, small in PATHS.items():
                    text = text.replace(f'"{published}"', f'"{small}"')
                config.write_text(text + TWO_STEPS)
        if "NPROC_PER_NODE" in command:
            assert (images / "work_dirs" / "pallava_domain_alignment" / "iter_1.pth").is_dir(), log[-4000:]
        elif "xtuner train" in command:
            assert (images / command.split("--work-dir ")[1].split()[0] / "iter_2.pth").is_file(), log[-4000:]
    assert (images / "hf_model" / "model.safetensors").is_file()


def _run(words: list[str], place: Path) -> str:
    given = dict(word.split("=", 1) for word in words[: words.index(next(w for w in words if "=" not in w))])
    argv = words[len(given) :]
    environment = {
        **os.environ,
        **given,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PATHPLUGINS_CACHE": str(place / "cache"),
        "HF_HOME": str(place / "hf"),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(argv, cwd=place, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout + done.stderr
