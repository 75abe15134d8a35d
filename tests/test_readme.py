"""Every command of the README, run as it stands there on small data."""

from __future__ import annotations

import os
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

SHOWN_BY = {
    "make demo": ".ci/run",
    "make test": ".ci/run",
    'pip install ".[wsi]"': "tests/test_packaging.py",
}
"""Commands that another file runs, which must hold the given words."""
WORDS = {".ci/run": ("make test", "make demo"), "tests/test_packaging.py": ("pip", "install")}

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
    assert len(COMMANDS) >= 12, COMMANDS


@pytest.mark.parametrize("command", SHOWN_BY)
def test_commands_that_others_run(command: str) -> None:
    assert command in COMMANDS
    text = (ROOT / SHOWN_BY[command]).read_text(encoding="utf-8")
    assert all(words in text for words in WORDS[SHOWN_BY[command]])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the README says one needs, small."""
    import torch

    from pathplugins.data_tools.demo_slide import write_demo_slide
    from pathplugins.models.checkpoints.tiny_llm import build_tiny_llm
    from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT

    root = tmp_path_factory.mktemp("readme")
    (root / "slides").mkdir()
    write_demo_slide(root / "slides" / "slide_1.svs", (1536, 1280), kind=1)
    (table,) = [body for kind, body in BLOCKS if kind == "csv"]
    (root / "data").mkdir()
    for split in ("train", "val"):
        (root / "data" / f"{split}.csv").write_text(table, encoding="utf-8")
    build_tiny_llm(root / "Llama-3.2-1B-Instruct", [table])
    tower = LongNetViT(LongNetConfig(in_chans=320, embed_dim=32, depth=2, num_heads=4))
    torch.save({"model": tower.state_dict()}, root / "slide_encoder.pth")
    return root


@pytest.mark.host
def test_the_walk_through(place: Path) -> None:
    """One test, since each command needs what the one before it wrote."""
    ran = []
    for command in COMMANDS:
        if command in SHOWN_BY:
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
    assert len(ran) == len(COMMANDS) - len(SHOWN_BY)
    (code,) = [body for kind, body in BLOCKS if kind == "python"]
    _run([sys.executable, "-c", code], place)


def _run(words: list[str], place: Path) -> None:
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
