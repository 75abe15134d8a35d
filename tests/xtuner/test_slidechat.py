"""SlideChat by its shipped configs made small: both stages, the exported model, answers that come from the slide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import slidechat_reference as reference
import torch
from mmengine.config import Config
from slidechat_toy import QUESTION, Toy, accuracies
from transformers import AutoTokenizer

from pathplugins.commands import configs
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint
from pathplugins.xtuner.export import export_checkpoint

pytestmark = pytest.mark.host

STEPS = 8
"""Of an epoch: 128 slides, 16 a step."""
EPOCHS = 7
SMALL = """from mmengine.config import read_base

with read_base():
    from .slidechat_{stage} import *

parts.update(
    llm={llm!r},
    vision_config=dict(embed_dim=16, ffn_dim=32, num_heads=4, dropout=0.0, drop_path_rate=0.0),
    patches_per_wsi=24,
)
model.llm.update(model=parts, torch_dtype="float32", quantization_config=None)
train_dataloader.update(batch_size=16, num_workers=0)
train_dataloader.dataset.update(model=parts, data_path={data!r}, image_folder={bags!r}, max_length=256)
train_dataloader.collate_fn.update(model=parts)
custom_hooks[0].update(evaluation_inputs={question!r}, evaluation_images={bags!r} + "/held2.h5")
optim_wrapper.update(accumulative_counts=1)
optim_wrapper.optimizer.update(lr=3e-3)
"""


@pytest.fixture(scope="module")
def toy(folder: Path) -> Toy:
    made = Toy(folder / "slidechat", train=128, held=48)
    made.write_bags()
    configs.copy(["slidechat_stage2.py"], folder)
    places = {"llm": str(made.llm), "data": str(made.root / "train.json"), "bags": str(made.root / "bags")}
    places["question"] = QUESTION
    for stage in ("stage1", "stage2"):
        (folder / f"slidechat_small_{stage}.py").write_text(SMALL.format(stage=stage, **places))
    return made


@pytest.fixture(scope="module")
def trained(train_here: Callable[..., None], folder: Path, toy: Toy) -> SimpleNamespace:
    def train(stage: str, epochs: int, *options: str) -> Path:
        steps = [f"train_cfg.max_epochs={epochs}", f"param_scheduler.0.end={epochs}"]
        saved = [f"default_hooks.checkpoint.interval={epochs * STEPS}"]
        words = ["--work-dir", folder / stage, "--seed", 3, "--cfg-options", *steps, *saved, *options]
        train_here(f"slidechat_small_{stage}.py", *words)
        return folder / stage / f"iter_{epochs * STEPS}.pth"

    first = train("stage1", 1)
    return SimpleNamespace(first=first, last=train("stage2", EPOCHS, f"model.pretrained_pth={first}"))


def test_stage_1_trains_slide_encoder_and_connector(trained: SimpleNamespace) -> None:
    names = read_checkpoint(trained.first)
    assert {name.removeprefix("llm.").partition(".")[0] for name in names} == {"vision_tower", "multi_modal_projector"}
    assert len(names) == 42 + 4


def test_stage_2_goes_on_with_both(trained: SimpleNamespace) -> None:
    before, after = read_checkpoint(trained.first), read_checkpoint(trained.last)
    assert before.keys() < after.keys()
    kept = {name.removeprefix("llm.vision_tower.") for name in before if torch.equal(before[name], after[name])}
    queries = {f"layers.{n}.self_attn.{part}_proj" for n in (0, 1) for part in "qk"}
    assert kept == {f"{name}.{kind}" for name in queries for kind in ("weight", "bias")}


def test_the_answers_come_from_the_slide(
    trained: SimpleNamespace, toy: Toy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathplugins.commands.loading import load_model

    monkeypatch.chdir(folder)
    export_checkpoint(trained.last, Path("slidechat_small_stage2.py"), Path("slidechat_hf"))
    model = load_model("slidechat_hf", device="cpu")
    seeing, blind = accuracies(model, toy)
    assert seeing >= 0.95
    assert blind <= 0.35


def test_the_hook_asks_as_published(trained: SimpleNamespace) -> None:
    (said,) = trained.last.parent.glob(f"*/vis_data/eval_outputs_iter_{EPOCHS * STEPS}.txt")
    asked = f"<|im_start|>user\n<image>\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
    assert said.read_text() == f"{asked}The slide shows colon.\n"


def test_ids_and_labels_of_the_data_are_those_of_slidechat(
    toy: Toy, folder: Path, trained: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xtuner.registry import BUILDER

    monkeypatch.chdir(folder)
    del trained
    dataset = BUILDER.build(Config.fromfile("slidechat_small_stage2.py").train_dataloader.dataset)
    sample = dataset[2]
    tokenizer = AutoTokenizer.from_pretrained(toy.llm)
    own = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    made = reference.ids_and_labels([(f"{QUESTION}\n<image>", "The slide shows colon.")], own)
    widths = [len(sample["input_ids"]) - len(made[0]) + 1]
    image = next(token for token, label in zip(sample["input_ids"], made[0], strict=False) if label == reference.IMAGE)
    ids, labels = reference.wide(*made, widths, image)
    assert (list(sample["input_ids"]), list(sample["labels"])) == (ids, labels)


STAGES = {"stage1": (1e-3, 5, 51200), "stage2": (2e-5, 2, 19600)}
"""Rate, epochs, tokens of a sample."""
BOTH = {
    "model.freeze_visual_encoder": False,
    "model.freeze_projector": False,
    "model.llm.model.vision_model_name": "slidechat",
    "model.llm.model.patches_per_wsi": 10240,
    "model.llm.model.patches_sampling": "linspace",
    "model.llm.model.vision_feature_select_mode": "none",
    "train_dataloader.batch_size": 1,
    "train_dataloader.dataset.prompt_template": "slidechat_qwen",
    "optim_wrapper.accumulative_counts": 8,
    "optim_wrapper.dtype": "float16",
    "optim_wrapper.loss_scale": "dynamic",
    "optim_wrapper.optimizer.weight_decay": 0,
    "optim_wrapper.clip_grad.max_norm": 1,
    "param_scheduler.0.begin": 0,
    "param_scheduler.0.eta_min": 0.0,
}


@pytest.mark.parametrize("stage", STAGES)
def test_published_values(stage: str) -> None:
    cfg = Config.fromfile(configs.folder("xtuner") / f"slidechat_{stage}.py")

    def found(path: str) -> Any:
        value: Any = cfg
        for key in path.split("."):
            value = value[int(key)] if key.isdigit() else value[key]
        return value

    own = ("optim_wrapper.optimizer.lr", "train_cfg.max_epochs", "train_dataloader.dataset.max_length")
    wanted = BOTH | dict(zip(own, STAGES[stage], strict=True))
    assert {key: found(key) for key in wanted} == wanted
    assert len(cfg.param_scheduler) == 1
    assert cfg.param_scheduler[0].end == cfg.train_cfg.max_epochs
    assert cfg.model.freeze_llm is (stage == "stage1")
    assert bool(cfg.model.llm.quantization_config) is (stage == "stage1")
