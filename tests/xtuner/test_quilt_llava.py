"""Quilt-LLaVA by its shipped configs: both phases, and answers that come from the image."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llava_reference as reference
import pytest
from mmengine.config import Config
from twin_shares import shares

from pathplugins.commands.configs import folder as shipped
from pathplugins.core.errors import BadSamplesError
from pathplugins.data.formats.drawn import KINDS, QUESTION, caption, read_drawn
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint
from pathplugins.xtuner.conversations import resolve_template

pytestmark = pytest.mark.host

SIZE = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
VISION = {**SIZE, "image_size": 32, "patch_size": 8}
EPOCHS = 24
SMALL = """from mmengine.config import read_base

with read_base():
    from .quilt_{phase} import *

parts.update(llm={llm!r}, vision_tower=None, random_vision_seed=0, vision_config=dict({vision}, select_layer=-2))
model.llm.update(model=parts, torch_dtype="float32")
train_dataloader.update(batch_size=4, num_workers=0)
train_dataloader.dataset.update(model=parts, data_path={data!r}, image_folder={images!r}, max_length=512)
train_dataloader.collate_fn.update(model=parts)
default_hooks.checkpoint.update(interval={steps})
train_cfg.update(max_epochs={epochs})
param_scheduler[0].update(end=0.03 * {epochs})
param_scheduler[1].update(begin=0.03 * {epochs}, end={epochs})
env_cfg.dist_cfg.update(backend="gloo")
{more}
"""


def row(name: int, image: str, kind: str) -> dict[str, Any]:
    """As in Quilt-Instruct: an image by its name, two rounds in every other conversation."""
    turns = [(f"<image>\n{QUESTION}", caption(kind)), *([("Say it again.", caption(kind))] if name % 2 else [])]
    said = [{"from": who, "value": text} for turn in turns for who, text in zip(("human", "gpt"), turn, strict=True)]
    return {"id": str(name), "image": image, "conversations": said}


@pytest.fixture(scope="module")
def work(folder: Path) -> SimpleNamespace:
    """Drawn images of four kinds, others to be asked about, a tiny Vicuna, and the configs made small by two files."""
    root = folder / "quilt"
    records, _ = read_drawn(root / "images", images=32)
    held, _ = read_drawn(root / "held", images=20, seed=1)
    rows = [row(n, Path(one.images[0]).name, one.meta["kind"]) for n, one in enumerate(records)]
    (root / "instruct.json").write_text(json.dumps(rows))
    (root / "pretrain.json").write_text(json.dumps([{**r, "conversations": r["conversations"][:2]} for r in rows]))
    llm = reference.tiny_vicuna(root / "llm", [QUESTION, "Say it again.", *map(caption, KINDS)] * 8)
    for name in ("pathology_base", "pathgen_phase1", "quilt_pretrain", "quilt_instruct"):
        shutil.copyfile(shipped("xtuner") / f"{name}.py", folder / f"{name}.py")
    vision = ", ".join(f"{key}={value}" for key, value in VISION.items())
    places = {"llm": str(llm), "images": str(root / "images"), "vision": vision}
    for phase, epochs, more in (("pretrain", 1, ""), ("instruct", EPOCHS, "optim_wrapper.optimizer.update(lr=3e-3)")):
        data = str(root / f"{phase}.json")
        text = SMALL.format(phase=phase, data=data, steps=8 * epochs, epochs=epochs, more=more, **places)
        (folder / f"small_quilt_{phase}.py").write_text(text)
    return SimpleNamespace(held=held)


@pytest.fixture(scope="module")
def pretrained(start: Callable[..., Any], work: SimpleNamespace) -> Path:
    del work
    return start("small_quilt_pretrain.py", "--seed", 7, work="work/quilt_pretrain").end().checkpoint(8)


@pytest.fixture(scope="module")
def instructed(start: Callable[..., Any], pretrained: Path) -> Path:
    options = {"model.pretrained_pth": pretrained}
    run = start("small_quilt_instruct.py", "--seed", 7, work="work/quilt_instruct", options=options).end()
    assert "loaded 4 trained weights from" in run.log
    return run.checkpoint(8 * EPOCHS)


def test_the_first_phase_trains_the_connector_alone(pretrained: Path) -> None:
    assert len(read_checkpoint(pretrained)) == 4
    assert all("multi_modal_projector" in name for name in read_checkpoint(pretrained))


def test_it_learns_four_kinds_of_images_and_nothing_without_them(
    instructed: Path,
    work: SimpleNamespace,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On images that were in no training, by the exported model."""
    from pathplugins.commands.loading import load_model
    from pathplugins.xtuner.export import export_checkpoint

    monkeypatch.chdir(folder)
    export_checkpoint(instructed, Path("small_quilt_instruct.py"), Path("quilt_hf"))
    assert json.loads(Path("quilt_hf/preprocessor_config.json").read_text())["image_aspect_ratio"] == "pad"
    model = load_model("quilt_hf", device="cpu")
    held = [(one.images[0], caption(one.meta["kind"])) for one in work.held]
    seeing, blind = shares(model, QUESTION, held)
    with capsys.disabled():
        sys.stdout.write(f"\naccuracy on {len(held)} held-out images: {seeing:.3f}, without vision {blind:.3f}\n")
    assert seeing >= 0.95
    assert blind <= 0.35


def test_a_truncated_image_is_reported_before_training(
    work: SimpleNamespace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which the published code trains on without a word."""
    from xtuner.registry import BUILDER

    monkeypatch.chdir(folder)
    whole = Path(work.held[0].images[0]).read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "cut.json").write_text(
        json.dumps([row(0, "cut.png", "tumour"), row(1, work.held[1].images[0], "tumour")])
    )
    data = Config.fromfile("small_quilt_instruct.py").train_dataloader.dataset
    data.update(data_path="cut.json", image_folder=str(folder))
    with pytest.raises(BadSamplesError, match=r"cut\.json:1: .*cut\.png cannot be read \(3 tries\)"):
        BUILDER.build(data)


BOTH = {
    "model.freeze_visual_encoder": True,
    "model.llm.model.llm": "lmsys/vicuna-7b-v1.5",
    "model.llm.model.vision_tower": "wisdomik/QuiltNet-B-32",
    "model.llm.model.vision_config.select_layer": -2,
    "model.llm.model.mm_projector_type": "mlp2x_gelu",
    "model.llm.torch_dtype": "bfloat16",
    "train_dataloader.dataset.max_length": 2048,
    "train_dataloader.dataset.format": "llava",
    "default_hooks.checkpoint.max_keep_ckpts": 1,
}
PHASES = {
    "pretrain": ("square", True, "plain", 800, "data/quilt_pretrain.json"),
    "instruct": ("pad", False, "v1", 300, "data/quilt_instruct_107k.json"),
}


@pytest.mark.parametrize("phase", PHASES)
def test_published_values(phase: str) -> None:
    cfg = Config.fromfile(shipped("xtuner") / f"quilt_{phase}.py")

    def found(path: str) -> Any:
        value: Any = cfg
        for key in path.split("."):
            value = value[key]
        return value

    assert {key: found(key) for key in BOTH} == BOTH
    template = resolve_template(cfg.train_dataloader.dataset.prompt_template)["LLAVA"]
    ratio, interval = cfg.model.llm.model.image_aspect_ratio, cfg.default_hooks.checkpoint.interval
    assert (ratio, cfg.model.freeze_llm, template, interval, cfg.data_path) == PHASES[phase]
    assert cfg.train_dataloader.sampler.keys() == {"type", "shuffle"}, "not grouped by modality"
