"""The official WSI-LLaVA by its shipped config: trained on WSI-Bench's folder, exported, asked."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mmengine.config import Config
from pooled_slides import CONVERSATIONS, QUESTION, PooledSlides, pooled_slides, wanted_ids
from transformers import AutoTokenizer
from twin_shares import shares

from pathplugins.commands.configs import folder as shipped
from pathplugins.data.records import Record, Turn
from pathplugins.models.foreign.wsi_llava.read import import_wsi_llava
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint
from pathplugins.xtuner.conversations import encode, resolve_template

pytestmark = pytest.mark.host

EPOCHS, STEPS = 7, 8
SMALL = """from mmengine.config import read_base

with read_base():
    from .wsi_llava_official import *

start = {start!r}
model.llm.update(model=start, torch_dtype="float32")
model.llm_lora.update(r=16, lora_alpha=32, lora_dropout=0.0)
train_dataloader.update(batch_size=8, num_workers=0)
train_dataloader["sampler"].update(batch_size=8)
train_dataloader.dataset.update(model=start, data_path={data!r}, image_folder={bags!r}, max_length=512)
train_dataloader.collate_fn.update(model=start)
optim_wrapper.update(accumulative_counts=1)
optim_wrapper.optimizer.update(lr=4e-3)
train_cfg.update(max_epochs={epochs})
param_scheduler = []
default_hooks.checkpoint.update(interval={last})
env_cfg.dist_cfg.update(backend="gloo")
"""


@pytest.fixture(scope="module")
def slides(folder: Path) -> PooledSlides:
    made = pooled_slides(folder / "official")
    import_wsi_llava(made.llava, made.root / "hf_start")
    return made


@pytest.fixture(scope="module")
def trained(folder: Path, start: Callable[..., Any], slides: PooledSlides) -> SimpleNamespace:
    for name in ("pathology_base", "wsi_llava_official"):
        shutil.copyfile(shipped("xtuner") / f"{name}.py", folder / f"{name}.py")
    places = {"start": "hf_start", "data": "dataset", "bags": "pooled"}
    places = {key: str(slides.root / name) for key, name in places.items()}
    (folder / "small_official.py").write_text(SMALL.format(**places, epochs=EPOCHS, last=EPOCHS * STEPS))
    run = start("small_official.py", "--seed", 7, work="work/official").end()
    return SimpleNamespace(run=run, last=run.checkpoint(EPOCHS * STEPS))


def test_what_is_saved_is_lora_and_connector(trained: Any) -> None:
    assert len(trained.run.losses()) == EPOCHS * STEPS
    names = read_checkpoint(trained.last)
    assert len([name for name in names if "lora_" in name]) == 2 * 2 * 7
    assert len([name for name in names if "multi_modal_projector" in name]) == 4
    assert not [name for name in names if "vision_tower" in name]


def test_the_exported_model_answers_from_the_slides(
    trained: Any, slides: PooledSlides, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from pathplugins.commands.loading import load_model
    from pathplugins.xtuner.export import export_checkpoint

    monkeypatch.chdir(folder)
    export_checkpoint(trained.last, Path("small_official.py"), Path("official_hf"))
    seeing, blind = shares(load_model("official_hf", device="cpu"), QUESTION, slides.held())
    with capsys.disabled():
        sys.stdout.write(f"\nofficial WSI-LLaVA, {len(slides.test)} held-out slides: {seeing:.3f}, blind {blind:.3f}\n")
    assert seeing >= 0.95
    assert blind <= 0.35


@pytest.mark.parametrize("turns", CONVERSATIONS, ids=lambda turns: turns[-1][1])
def test_ids_and_labels_are_those_of_llava(slides: PooledSlides, turns: list[tuple[str, str]]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(slides.root / "hf_start")
    said = tuple(turn for asked, told in turns for turn in (Turn("user", asked), Turn("assistant", told)))
    bags = ("x.h5",) * sum(asked.count("<image>") for asked, _ in turns)
    record = Record(id="a", conversations=said, images=bags, meta={}, source="a.json", row=1)
    [got] = encode([record], tokenizer, resolve_template("pathgen_v1"))
    own = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    assert (got.input_ids, got.labels) == wanted_ids(turns, own, [-200])


def test_the_shipped_config_holds_the_published_values() -> None:
    cfg = Config.fromfile(shipped("xtuner") / "wsi_llava_official.py")
    lora, data = cfg.model.llm_lora, cfg.train_dataloader.dataset
    assert (lora.r, lora.lora_alpha, lora.lora_dropout) == (128, 256, 0.05)
    assert cfg.optim_wrapper.optimizer.lr * cfg.model.lr_mult.multi_modal_projector == pytest.approx(2e-5)
    assert (data.format, data.max_length) == ("wsi_bench", 2048)
    assert dict(data.format_options) == {"split": "train", "image_suffix": ".h5"}
