"""Features of any encoder on a laptop: TRIDENT's bags, a table of diagnoses, training, scores, an answer."""

from __future__ import annotations

import csv
import time
from pathlib import Path

from pathplugins.commands.configs import folder
from pathplugins.commands.demo.steps import clear, command
from pathplugins.commands.lines import say

DIAGNOSES = ("adenoma", "carcinoma", "lymphoma", "melanoma")
PATIENTS = 16
"""Of each diagnosis, with a slide each."""
WIDTH = 1024
"""Of UNI's features."""
QUESTION = "What is the diagnosis?"


def run(out: Path) -> None:
    """Run the demo in the folder ``out``; every step is a command a user would type, and is shown."""
    clear(out)
    say("No data and no weights are downloaded: the features are drawn, the language model is tiny and UNTRAINED.")
    began = time.monotonic()
    bags = out / "trident" / "20x_256px_0px_overlap" / "features_uni_v1"
    _draw(out, bags)
    command(out, "pathdata", "inspect", next(iter(sorted(bags.iterdir()))))
    shares = ("--valid", 0.25, "--test", 0.25)
    words = (out / "labels.csv", "--bags", bags, "--group-column", "patient", "--question", QUESTION, *shares)
    command(out, "pathdata", "table", *words, "--choices", "none", "--name", "diagnosis", "--out", out / "data")
    _language_model(out)
    settings = [f"{key}={value}" for key, value in _settings(out).items()]
    command(out, "llamafactory-cli", "train", folder("llamafactory") / "features_vqa.yaml", *settings)
    model = out / "saves" / "features_vqa"
    words = ("--data", out / "data" / "test.csv", "--format", "wsi_csv", "--task", "vqa", "--out", out / "scores")
    scores = command(out, "pathplugins", "evaluate", model, *words)
    with (out / "data" / "test.csv").open(newline="") as file:
        asked = next(iter(csv.DictReader(file)))
    bag = (out / "data" / asked["h5_path"]).resolve()
    answer = command(out, "pathplugins", "ask", model, "--bag", bag, "--question", QUESTION)
    say(f"\nbag:      {bag.name}, 1,024 features a patch, no slide encoder\nquestion: {QUESTION}")
    say(f"answer:   {answer.strip().splitlines()[-1]}\nexpected: {asked['answer']}")
    accuracy = next(line.split()[1] for line in scores.splitlines() if line.startswith("accuracy"))
    say(f"accuracy: {accuracy} on slides of other patients; guessing {1 / len(DIAGNOSES):.2f}")
    say(f"scores:   {out / 'scores' / 'metrics.json'}\ntook {time.monotonic() - began:.0f} s")


def _draw(out: Path, bags: Path) -> None:
    """Draw bags of features and the table of their diagnoses; a diagnosis is a direction that some patches share."""
    import h5py
    import numpy as np

    say(f"drawing {len(DIAGNOSES) * PATIENTS} bags as TRIDENT writes UNI's: {bags}")
    bags.mkdir(parents=True)
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((len(DIAGNOSES), WIDTH)).astype(np.float32)
    rows = []
    for label, diagnosis in enumerate(DIAGNOSES):
        for patient in range(PATIENTS):
            slide, patches = f"slide_{label}_{patient:02}", int(rng.integers(20, 40))
            features = rng.standard_normal((patches, WIDTH), dtype=np.float32) / 3
            features[rng.random(patches) < 0.8] += directions[label]
            cells = np.stack([np.arange(patches) % 8, np.arange(patches) // 8], 1)  # (column, row)
            with h5py.File(bags / f"{slide}.h5", "w") as file:
                file.create_dataset("features", data=features).attrs.update(name=slide, encoder="uni_v1")
                coords = file.create_dataset("coords", data=cells.astype(np.int64) * 512)
                coords.attrs.update(patch_size=256, patch_size_level0=512, name=slide, overlap=0)
                coords.attrs.update(level0_magnification=40, target_magnification=20)
                coords.attrs.update(level0_width=4608, level0_height=4608)
            rows.append([slide, f"patient_{label}_{patient:02}", diagnosis])
    with (out / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["slide_id", "patient", "diagnosis"], *rows])


def _language_model(out: Path) -> None:
    from pathplugins.data.prompts import SYSTEM_PROMPT
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    say(f"building a tiny untrained Llama in {out / 'llm'}")
    build_tiny_llm(out / "llm", [SYSTEM_PROMPT, QUESTION, *DIAGNOSES] * 4, vocabulary=512)


def _settings(out: Path) -> dict[str, object]:
    """Return the settings in which a tiny model and few slides differ from the shipped YAML."""
    return {
        "llm_name_or_path": out / "llm",
        "dataset_dir": out / "data",
        "output_dir": out / "saves" / "features_vqa",
        "template": "custom_vqa_llama3",
        "finetuning_type": "full",  # the language model starts from noise too
        "lr_mult": "null",
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "learning_rate": 2.0e-3,
        "lr_scheduler_type": "constant_with_warmup",
        "num_train_epochs": 24,
        "preprocessing_num_workers": 1,
        "dataloader_num_workers": 0,
        "logging_steps": 5,
        "eval_steps": 20,
        "save_steps": 20,
        "bf16": "false",
    }
