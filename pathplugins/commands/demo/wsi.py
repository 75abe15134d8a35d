"""The whole way on a laptop: slides, patches, features, bags, stage 2, stage 3, an answer and a picture."""

from __future__ import annotations

import csv
import shutil
import time
from pathlib import Path

from pathplugins.commands.configs import folder
from pathplugins.commands.demo.steps import clear, command
from pathplugins.commands.lines import say
from pathplugins.core.errors import PathPluginsError

QUESTION = "What does this slide show?"
KINDS = ("normal tissue", "tumour", "inflammation", "necrosis")
"""What the four kinds of drawn slides are called; the position is their ``--kind``."""
TRAINING_SLIDES = 4  # of each kind
TOWER = "{in_chans: 320, embed_dim: 64, depth: 2, num_heads: 4, segment_lengths: [64, 256], dilated_ratios: [1, 2]}"


def run(out: Path, slide: Path | None = None) -> None:
    """Run the demo in the folder ``out``, asking about ``slide`` or about a drawn one; every step is shown."""
    if slide is not None and not slide.is_file():
        raise PathPluginsError(f"{slide} does not exist; name a slide with --slide, or none to have one drawn")
    clear(out)
    say("No weights are downloaded: patch encoder, slide encoder and language model are tiny and start UNTRAINED.")
    began = time.monotonic()
    asked = _slides(out, slide)
    command(out, "pathdata", "patch", out / "slides", "--out", out / "work", "--mpp", 0.5)
    command(out, "pathdata", "features", out / "work", "--encoder", "convnext_atto", "--random-weights", 0)
    _dataset(out)
    _language_model(out)
    configs = folder("llamafactory")
    command(out, "llamafactory-cli", "train", configs / "wsi_llava_stage2.yaml", *_overrides(out, 2))
    command(out, "llamafactory-cli", "train", configs / "wsi_llava_stage3.yaml", *_overrides(out, 3))
    command(out, "llamafactory-cli", "export", configs / "wsi_llava_export.yaml", *_model(out), *_export(out))
    bag = out / "work" / "bags" / f"{asked.stem}.h5"
    answer = command(out, "pathplugins", "ask", out / "merged", "--bag", bag, "--question", QUESTION)
    say(f"\nslide:    {asked}\nquestion: {QUESTION}\nanswer:   {answer.strip().splitlines()[-1]}")
    known = "the model has seen drawn slides only: this shows the way, it says nothing about the slide"
    say(f"expected: {_sentence(KINDS[1])}" if slide is None else f"note:     {known}")
    say(f"picture:  {out / 'work' / 'overlays' / asked.stem}.png  (tissue and patches)")
    say(f"loss:     {out / 'saves' / 'stage3' / 'training_loss.png'}\ntook {time.monotonic() - began:.0f} s")


def _slides(out: Path, given: Path | None) -> Path:
    """Draw the slides to learn from and to be asked about; return the one that is asked about."""
    for kind in range(len(KINDS)):
        for number in range(TRAINING_SLIDES + 1):
            name = f"train_{kind}_{number}" if number < TRAINING_SLIDES else f"val_{kind}"
            path = out / "slides" / f"{name}.svs"
            words = [
                "pathdata",
                "demo-slide",
                path,
                "--size",
                "2048x1536",
                "--kind",
                kind,
                "--seed",
                10 * kind + number,
            ]
            command(out, *words, quiet=number > 0)
    if given is None:
        return out / "slides" / "val_1.svs"
    target = out / "slides" / given.name
    target.symlink_to(given.resolve())
    return target


def _dataset(out: Path) -> None:
    """Write a CSV of training slides and one of held-out ones, named as in the shipped ``dataset_info.json``."""
    shutil.copyfile(folder("llamafactory") / "dataset_info.json", out / "dataset_info.json")
    for split, numbers in (("train", range(TRAINING_SLIDES)), ("val", [None])):
        rows = []
        for kind, shown in enumerate(KINDS):
            for number in numbers:
                name = f"train_{kind}_{number}" if number is not None else f"val_{kind}"
                rows.append([f"work/bags/{name}.h5", _sentence(shown), QUESTION, _sentence(shown), name, "demo"])
        with (out / f"{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["h5_path", "caption", "question", "answer", "slide_id", "dataset"])
            writer.writerows(rows)


def _sentence(shown: str) -> str:
    return f"The slide shows {shown}."


def _language_model(out: Path) -> None:
    from pathplugins.data.prompts import REPORT_REQUEST, SYSTEM_PROMPT
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    say("building a tiny untrained Llama in " + str(out / "llm"))
    build_tiny_llm(out / "llm", [SYSTEM_PROMPT, REPORT_REQUEST, QUESTION, *map(_sentence, KINDS)] * 4, vocabulary=768)


def _model(out: Path) -> list[str]:
    return [f"llm_name_or_path={out / 'llm'}", "vision_tower=null", "random_vision_seed=0", f"vision_config={TOWER}"]


def _overrides(out: Path, stage: int) -> list[str]:
    """Return the settings in which a tiny model and a handful of slides differ from the shipped YAML."""
    words = [
        *_model(out),
        f"dataset_dir={out}",
        f"output_dir={out / 'saves' / f'stage{stage}'}",
        "image_seq_length=16",
        "per_device_train_batch_size=8",
        "gradient_accumulation_steps=1",
        "preprocessing_num_workers=1",
        "dataloader_num_workers=0",
        "logging_steps=5",
        "bf16=false",
    ]
    if stage == 2:
        return [*words, "num_train_epochs=5", "save_steps=10", "eval_steps=10"]
    stage2 = f"projector_path={out / 'saves' / 'stage2' / 'mm_projector.bin'}"
    # A language model that starts from noise needs a connector that may move freely and a rate that stays high.
    llm = "lora_target=q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
    connector = ["additional_target=multi_modal_projector", "projector_dropout=0.0", "lora_dropout=0.0"]
    rates = ["learning_rate=2.0e-3", "loraplus_lr_ratio=4.0", "lr_scheduler_type=constant"]
    return [*words, stage2, llm, *connector, *rates, "num_train_epochs=120", "save_steps=60", "eval_steps=60"]


def _export(out: Path) -> list[str]:
    return [
        f"projector_path={out / 'saves' / 'stage2' / 'mm_projector.bin'}",
        f"adapter_name_or_path={out / 'saves' / 'stage3'}",
        f"export_dir={out / 'merged'}",
        "image_seq_length=16",
    ]
