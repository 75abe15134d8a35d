"""PatchTCGA on a laptop: archives to a patch set, BYOL, a probe with its report, BYOL's encoder as a model's eye."""

from __future__ import annotations

import hashlib
import json
import tarfile
import time
from pathlib import Path

from pathplugins.commands.configs import folder
from pathplugins.commands.demo.steps import clear, command
from pathplugins.commands.lines import say

ORGANS = ("brain", "kidney", "lung")
SIDE = 64
"""Side of a drawn patch, pixels."""
PARTS = 3
SLIDES = 13
"""Drawn of each organ; the last is in no archive, for the question at the end."""
HELD_OUT = f"-{SLIDES - 1:04d}-"
SMALL = {"image_size": 48, "logging_steps": 10, "save_steps": 10_000, "dataloader_num_workers": 0, "bf16": "false"}
"""Settings in which every recipe of the demo differs from its shipped YAML."""


def run(out: Path) -> None:
    """Run the demo in the folder ``out``; every step is a command a user would type, and is shown."""
    clear(out)
    say("No data and no weights are downloaded: the patches are drawn, all models are tiny and start UNTRAINED.")
    began = time.monotonic()
    parts = _archive(out)
    command(out, "pathdata", "patchtcga", "join", *parts, "--md5", out / "checksums.txt", "--out", out / "datasets")
    data, split = out / "datasets" / "PTCGA200", out / "split.json"
    command(out, "pathdata", "patchtcga", "inspect", data)
    shares = ("--valid", 0.17, "--test", 0.17)
    command(out, "pathdata", "patchtcga", "split", data, "--by", "slide", *shares, "--out", split)
    runs = _encoders(out, data, split)
    words = ("--data", data, "--split", split, "--part", "test", "--out", out / "report")
    command(out, "pathplugins", "classify", "evaluate", runs["learnt"], *words)
    _ask(out, data, runs["byol"])
    scores = {name: json.loads((runs[name] / "classify.json").read_text())["scores"]["test"] for name in runs}
    learnt, random = (scores[name]["accuracy"] for name in ("learnt", "random"))
    say(f"\nlinear probe of BYOL's features:   accuracy {learnt:.2f} on slides it has not seen")
    say(f"the same probe of random features: accuracy {random:.2f}; guessing {1 / len(ORGANS):.2f}")
    say(f"report:   {out / 'report' / 'report.html'}\ntook {time.monotonic() - began:.0f} s")


def _archive(out: Path) -> list[Path]:
    """Draw PTCGA200 in small, packed as it is handed out: one archive in parts, with their MD5 sums."""
    from pathplugins.classify.drawn import draw_ptcga200

    say(f"drawing {len(ORGANS)} organs of PTCGA200, packed in {PARTS} parts: {out / 'PTCGA200_p_*'}")
    drawn = draw_ptcga200(out / "drawn" / "PTCGA200", organs=ORGANS, slides=SLIDES, patches=8, side=SIDE)
    whole = out / "drawn" / "PTCGA200.tar.gz"
    with tarfile.open(whole, "w:gz") as archive:
        archive.add(drawn, "PTCGA200", filter=lambda member: None if HELD_OUT in member.name else member)
    content = whole.read_bytes()
    size = -(-len(content) // PARTS)
    parts = [out / f"PTCGA200_p_a{letter}" for letter in "abc"]
    for number, part in enumerate(parts):
        part.write_bytes(content[number * size : (number + 1) * size])
    sums = [f"{hashlib.md5(part.read_bytes(), usedforsecurity=False).hexdigest()}  {part.name}\n" for part in parts]
    (out / "checksums.txt").write_text("".join(sums))
    return parts


def _encoders(out: Path, data: Path, split: Path) -> dict[str, Path]:
    """Train BYOL, and the same linear probe on its features and on those of random weights."""
    for recipe, settings in _training(out, data, split).values():
        words = [f"{key}={value}" for key, value in settings.items()]
        command(out, "pathplugins", "classify", "train", folder("classify") / recipe, *words)
    return {name: out / "runs" / name for name in ("byol", "learnt", "random")}


def _training(out: Path, data: Path, split: Path) -> dict[str, tuple[str, dict[str, object]]]:
    """Return run -> shipped recipe, and the settings in which tiny networks and few patches differ from it."""
    common = {**SMALL, "data": data, "kind": "ptcga200", "split": split, "centre_px": "null"}
    common |= {"per_device_train_batch_size": 32, "scale_learning_rate": "null"}
    untrained = {"encoder": "test_resnet", "random_weights": 0}
    byol = {"projection_hidden": 128, "projection_width": 32, "target_momentum": 0.95, "lars": "false"}
    byol |= {"num_train_epochs": 24, "warmup_epochs": 1, "learning_rate": 2e-3}
    probe = {"num_train_epochs": 16, "warmup_epochs": 0, "learning_rate": 1e-2}
    runs = {
        "byol": ("ptcga200_byol.yaml", {**untrained, **byol}),
        "learnt": ("pcam200_linear.yaml", {"encoder": out / "runs" / "byol", **probe}),
        "random": ("pcam200_linear.yaml", {**untrained, **probe}),
    }
    return {
        name: (recipe, {**common, "output_dir": out / "runs" / name, **own}) for name, (recipe, own) in runs.items()
    }


def _ask(out: Path, data: Path, eye: Path) -> None:
    """Train a tiny language model on organ questions, with BYOL's encoder as its eye; ask it about an unseen patch."""
    from pathplugins.data.prompts import LLAVA_SYSTEM_PROMPT
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    questions = out / "questions"
    words: tuple[object, ...] = ("--questions", "open", "--to", "sharegpt", "--out", questions)
    command(out, "pathdata", "convert", "ptcga200", data, *words)
    rows = json.loads((questions / "ptcga200.json").read_text())
    asked = sorted({turn["value"] for row in rows for turn in row["conversations"]})
    say(f"building a tiny untrained Llama in {out / 'llm'}")
    build_tiny_llm(out / "llm", [LLAVA_SYSTEM_PROMPT, *asked] * 4, vocabulary=768, tied=False)
    words = tuple(f"{key}={value}" for key, value in _answering(out, eye).items())
    command(out, "llamafactory-cli", "train", folder("llamafactory") / "ptcga200_vqa.yaml", *words)
    image = next(path for path in sorted((out / "drawn").rglob("*.jpg")) if HELD_OUT in path.name)
    question = next(text for text in asked if "<image>" in text).replace("<image>", "").strip()
    words = ("--image", image, "--question", question, "--max-new-tokens", 32)
    answer = command(out, "pathplugins", "ask", out / "saves" / "vqa", *words)
    say(f"\npatch:    {image}\nquestion: {question}\nanswer:   {answer.strip().splitlines()[-1]}")
    say(f"expected: {image.parent.name}")


def _answering(out: Path, eye: Path) -> dict[str, object]:
    """Return the settings in which a tiny model and few patches differ from the shipped YAML."""
    return {
        "llm_name_or_path": out / "llm",
        "vision_tower": eye,
        "mm_vision_select_layer": -1,
        "dataset_dir": out / "questions",
        "output_dir": out / "saves" / "vqa",
        "deepspeed": "null",
        "per_device_train_batch_size": 16,
        "preprocessing_num_workers": 1,
        "dataloader_num_workers": 0,
        "logging_steps": 5,
        "bf16": "false",
        "tf32": "false",
        "lr_mult": "null",
        # A language model that starts from noise needs a rate that stays high.
        "learning_rate": 2.0e-3,
        "lr_scheduler_type": "constant_with_warmup",
        "num_train_epochs": 16,
    }
