"""PathGen-LLaVA by its shipped configs: both phases on two processes (features P20, P21, P33)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llava_reference as reference
import pytest
import torch
from mmengine.config import Config
from transformers import AutoTokenizer

from pathplugins.commands.configs import folder as shipped
from pathplugins.core.errors import BadSamplesError
from pathplugins.data.formats.drawn import QUESTION, caption, read_drawn
from pathplugins.data.records import Record, Turn
from pathplugins.models.foreign.xtuner.checkpoint import read_checkpoint
from pathplugins.xtuner.conversations import encode, resolve_template

pytestmark = pytest.mark.host

SIZE = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
VISION = {**SIZE, "image_size": 32, "patch_size": 8}
RATE = 4e-3
"""Of phase 2 here."""


def row(image: str | None, *turns: tuple[str, str]) -> dict[str, Any]:
    """As `pathdata convert --to sharegpt` writes it."""
    said = [{"from": who, "value": text} for turn in turns for who, text in zip(("human", "gpt"), turn, strict=True)]
    return {"id": str(image), "conversations": said, "images": [image] if image else []}


@pytest.fixture(scope="module")
def work(folder: Path) -> SimpleNamespace:
    """Drawn images with captions, texts without an image, a tiny Vicuna, and the configs made small by two files."""
    root = folder / "pathgen"
    records, _ = read_drawn(root / "images", images=16)
    said = {record.id: caption(record.meta["kind"]) for record in records}
    rows = [
        row(f"{name}.png", (f"{QUESTION}\n<image>" if n % 2 else f"<image>\n{QUESTION}", text))
        for n, (name, text) in enumerate(said.items())
    ]
    texts = [row(None, ("Hello?", "No image."), ("And?", "None."))] * 5
    (root / "pathgen_initial.json").write_text(json.dumps(rows))
    (root / "pathgen_desp.json").write_text(json.dumps([*rows, *texts]))
    llm = reference.tiny_vicuna(root / "llm", [QUESTION, *said.values(), "No image.", "None."] * 4)
    for name in ("pathology_base", "pathgen_phase1", "pathgen_phase2"):
        shutil.copyfile(shipped("xtuner") / f"{name}.py", folder / f"{name}.py")
    small = """from mmengine.config import read_base

with read_base():
    from .pathgen_{phase} import *

parts.update(llm={llm!r}, vision_tower=None, random_vision_seed=0, vision_config=dict({vision}, select_layer=-2))
model.llm.update(model=parts, torch_dtype="float32")
train_dataloader.update(batch_size=4, num_workers=0)
train_dataloader.dataset.update(model=parts, data_path={data!r}, image_folder={images!r}, max_length=512)
train_dataloader.collate_fn.update(model=parts)
default_hooks.checkpoint.update(interval=1)
param_scheduler = []
env_cfg.dist_cfg.update(backend="gloo")
{more}
"""
    vision = ", ".join(f"{key}={value}" for key, value in VISION.items())
    sampled = "train_dataloader.sampler.update(batch_size=4)"
    asked = f"custom_hooks[0].update(evaluation_inputs=[{QUESTION!r}], evaluation_images={records[1].images[0]!r})"
    more = {"phase1": "", "phase2": f"{sampled}\noptim_wrapper.optimizer.update(lr={RATE})\n{asked}"}
    for phase, data in (("phase1", "pathgen_initial"), ("phase2", "pathgen_desp")):
        places = {"llm": str(llm), "data": str(root / f"{data}.json"), "images": str(root / "images")}
        text = small.format(phase=phase, vision=vision, more=more[phase], **places)
        (folder / f"small_{phase}.py").write_text(text)
    return SimpleNamespace(root=root, llm=llm, records=records)


def _launch(zero: str) -> tuple[tuple[Any, ...], dict[str, str]]:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    return ("--seed", 7, "--deepspeed", f"deepspeed_{zero}"), {"NPROC_PER_NODE": "2", "PORT": port}


@pytest.fixture(scope="module")
def phase1(start: Callable[..., Any], work: SimpleNamespace) -> Any:
    words, env = _launch("zero2")
    run = start("small_phase1.py", *words, work="work/pathgen_phase1", env=env).end()
    run.checkpoint(2)
    return run


@pytest.fixture(scope="module")
def phase2(start: Callable[..., Any], work: SimpleNamespace, phase1: Any) -> Any:
    words, env = _launch("zero3")
    own = {"model.pretrained_pth": phase1.checkpoint(2), "train_cfg.max_epochs": 6}
    saved = {"interval": 17, "save_begin": 1, "max_keep_ckpts": -1}  # after 1 and 18
    own |= {f"default_hooks.checkpoint.{key}": value for key, value in saved.items()}
    run = start("small_phase2.py", *words, work="work/pathgen_phase2", options=own, env=env).end()
    run.checkpoint(18)
    return run


@pytest.fixture
def begun(folder: Path, phase1: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """All weights that phase 1 has begun with."""
    from xtuner.registry import BUILDER

    monkeypatch.chdir(folder)
    return dict(BUILDER.build(Config.fromfile("small_phase1.py").model).named_parameters())


def test_p20_phase_1_trains_the_connector_alone(phase1: Any, begun: dict[str, torch.Tensor]) -> None:
    trained = read_checkpoint(phase1.checkpoint(2))
    assert trained.keys() == {name for name in begun if "multi_modal_projector" in name}
    assert all(not torch.equal(value, begun[name].bfloat16().float()) for name, value in trained.items())


def test_p21_phase_2_takes_it_over_and_trains_the_language_model(
    phase1: Any, phase2: Any, begun: dict[str, torch.Tensor]
) -> None:
    assert "loaded 4 trained weights from" in phase2.log
    trained, earlier = read_checkpoint(phase2.checkpoint(1)), read_checkpoint(phase1.checkpoint(2))
    assert trained.keys() == {name for name in begun if "vision_tower" not in name}
    for name, value in trained.items():  # the first step of Adam is the rate, on top of the rounding of the start
        before = earlier.get(name, begun[name].detach()).bfloat16().float()
        assert (value - before).abs().max().item() == pytest.approx(RATE, rel=0.02), name
    losses = phase2.losses()
    assert sum(losses[step] for step in (16, 17, 18)) < sum(losses[step] for step in (1, 2, 3)) / 2


def test_it_is_asked_as_it_was_trained(phase2: Any) -> None:
    """By the hook while it trains: the answer is one of the captions."""
    asked = f"{reference.SYSTEM} USER: <image>\n{QUESTION} ASSISTANT:"
    said = phase2.answers(18)
    assert said.startswith(asked)
    assert said.removeprefix(asked).strip().startswith("The image shows")


def test_the_exported_model_asks_as_llava_does(
    phase2: Any, folder: Path, work: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathplugins.commands.loading import load_processor
    from pathplugins.commands.prompting import conversation
    from pathplugins.xtuner.export import export_checkpoint

    monkeypatch.chdir(folder)
    out = export_checkpoint(phase2.checkpoint(18), Path("small_phase2.py"), folder / "pathgen_hf")
    processor = load_processor(str(out))
    own = lambda text: processor.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    ids, _ = reference.v1([(f"<image>\n{QUESTION}", "")], own)
    made = processor([conversation(processor.tokenizer, QUESTION)], [[work.records[0].images[0]]])
    got = made["input_ids"][0].tolist()
    image = ids.index(reference.IMAGE)
    assert got == [*ids[:image], *[processor.image_token_id] * 16, *ids[image + 1 :]]


def record(turns: list[tuple[str, str]]) -> Record:
    said = [turn for asked, told in turns for turn in (Turn("user", asked), Turn("assistant", told))]
    count = sum(asked.count("<image>") for asked, _ in turns)
    return Record(id="a", conversations=tuple(said), images=("x.png",) * count, meta={}, source="a.json", row=1)


@pytest.mark.parametrize("name", reference.CONVERSATIONS)
def test_p21_v1_ids_and_labels_are_those_of_llava(work: SimpleNamespace, name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(work.llm)
    turns = reference.CONVERSATIONS[name]
    wanted = reference.v1(turns, lambda text: tokenizer(text, add_special_tokens=False)["input_ids"])
    [got] = encode([record(turns)], tokenizer, resolve_template("pathgen_v1"))
    assert (got.input_ids, got.labels) == wanted


def test_p20_plain_ids_and_labels_are_those_of_llava(work: SimpleNamespace) -> None:
    tokenizer = AutoTokenizer.from_pretrained(work.llm)
    turns = [("Describe it.\n<image>", "Two\n\nlines µ ")]
    wanted = reference.plain(turns, lambda text: tokenizer(text, add_special_tokens=False)["input_ids"])
    [got] = encode([record(turns)], tokenizer, resolve_template("pathplugins.xtuner.templates.PATHGEN_PLAIN"))
    assert (got.input_ids, got.labels) == wanted


def test_what_llava_masks_is_reported_by_file_and_row(
    folder: Path, work: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xtuner.registry import BUILDER

    monkeypatch.chdir(folder)
    rows = [row(f"{work.records[0].id}.png", *turns) for turns in reference.LEARNT_OF_NOTHING.values()]
    (folder / "bad.json").write_text(json.dumps([*rows, row(None, ("Hello?", "Yes."))]))
    data = Config.fromfile("small_phase2.py").train_dataloader.dataset
    data.update(data_path="bad.json")
    with pytest.raises(BadSamplesError) as raised:
        BUILDER.build(data)
    for number, said in enumerate(("empty answer", "'ASSISTANT:' and a blank", "holds </s>"), start=1):
        assert any(f"bad.json:{number}: " in line and said in line for line in str(raised.value).splitlines()), said
    data.update(on_bad_sample="skip")
    assert len(BUILDER.build(data)) == 1


BOTH = {
    "model.freeze_visual_encoder": True,
    "model.freeze_projector": False,
    "model.llm.model.llm": "lmsys/vicuna-13b-v1.5",
    "model.llm.model.vision_model_name": "clip",
    "model.llm.model.vision_config.select_layer": -2,
    "model.llm.model.mm_projector_type": "mlp2x_gelu",
    "model.llm.model.image_aspect_ratio": "pad",
    "model.llm.torch_dtype": "bfloat16",
    "optim_wrapper.dtype": "bfloat16",
    "optim_wrapper.accumulative_counts": 1,
    "optim_wrapper.optimizer.weight_decay": 0,
    "train_cfg.max_epochs": 1,
    "param_scheduler.0.end": 0.03,
    "param_scheduler.1.begin": 0.03,
    "param_scheduler.1.end": 1,
    "param_scheduler.1.eta_min": 0.0,
    "train_dataloader.num_workers": 4,
    "train_dataloader.dataset.max_length": 2048,
    "default_hooks.checkpoint.max_keep_ckpts": 1,
}
PHASES = {
    "phase1": {
        "model.freeze_llm": True,
        "train_dataloader.batch_size": 32,
        "optim_wrapper.optimizer.lr": 1e-3,
        "default_hooks.checkpoint.interval": 24000,
        "train_dataloader.dataset.data_path": "data/pathgen_initial.json",
    },
    "phase2": {
        "model.freeze_llm": False,
        "train_dataloader.batch_size": 16,
        "train_dataloader.sampler.batch_size": 16,
        "optim_wrapper.optimizer.lr": 2e-5,
        "default_hooks.checkpoint.interval": 50000,
        "train_dataloader.dataset.data_path": "data/pathgen_desp.json",
        "model.pretrained_pth": "work/pathgen_phase1/iter_N.pth",
    },
}


@pytest.mark.parametrize("phase", PHASES)
def test_p20_p21_published_values(phase: str) -> None:
    cfg = Config.fromfile(shipped("xtuner") / f"pathgen_{phase}.py")
    wanted = {**BOTH, **PHASES[phase]}

    def found(path: str) -> Any:
        value: Any = cfg
        for key in path.split("."):
            value = value[int(key)] if key.isdigit() else value[key]
        return value

    assert {key: found(key) for key in wanted} == wanted
    sampler = {"phase1": {"type", "shuffle"}, "phase2": {"type", "batch_size"}}
    assert cfg.train_dataloader.sampler.keys() == sampler[phase]
    template = resolve_template(cfg.train_dataloader.dataset.prompt_template)
    assert template["LLAVA"] == {"phase1": "plain", "phase2": "v1"}[phase]


def test_p21_ranks_see_one_modality_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order that LLaMA-Factory has too; what is drawn again to even out the ranks comes last."""
    from mmengine.dataset import sampler

    from pathplugins.data.grouping import grouped_by_modality
    from pathplugins.xtuner.samplers import ModalityLengthSampler

    class Samples(list):
        modality_length = property(lambda self: [(5 + n % 7) * (1 if n % 2 else -1) for n in self])

    ranks = []
    for rank in (0, 1):
        monkeypatch.setattr(sampler, "get_dist_info", lambda rank=rank: (rank, 2))
        drawn = ModalityLengthSampler(Samples(range(43)), batch_size=4, seed=3)
        drawn.set_epoch(2)
        ranks.append(list(drawn))
        assert len(ranks[-1]) == len(drawn) == 22
    steps = [ranks[0][n : n + 4] + ranks[1][n : n + 4] for n in range(0, 22, 4)]
    assert [n for step in steps for n in step][:43] == grouped_by_modality(
        Samples(range(43)).modality_length, 4, 2, seed=3, epoch=2
    ).tolist()
    assert all(len({n % 2 for n in step}) == 1 for step in steps[:4])
    assert {n for step in steps for n in step} == set(range(43))
