"""PathGen-LLaVA on a laptop: slides and a JSON of captions, pairs, both phases in LLaMA-Factory, an answer."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

from pathplugins.commands.configs import folder
from pathplugins.commands.demo.steps import clear, command
from pathplugins.commands.demo.wsi import KINDS
from pathplugins.commands.lines import say

QUESTION = "What does this patch show?"
CORNERS = [(x, y) for x in (448, 672, 896) for y in (320, 512)]
"""Upper-left corners of the patches on each slide, level-0 pixels, multiples of 32 as in the published JSON."""
HELD_OUT = (800, 416)
TOWER = (
    "{hidden_size: 48, intermediate_size: 96, num_hidden_layers: 3, num_attention_heads: 4, image_size: 64, "
    "patch_size: 16}"
)


def run(out: Path) -> None:
    """Run the demo in the folder ``out``; every step is a command a user would type, and is shown."""
    clear(out)
    say("No weights are downloaded: vision tower, connector and language model are tiny and start UNTRAINED.")
    began = time.monotonic()
    _slides(out)
    for name in ("pathgen", "held_out"):
        words = (out / f"{name}.json", "--slides", out / "slides", "--out", out / name)
        command(out, "pathdata", "pathgen", "extract", *words)
    command(out, "pathdata", "convert", "pathgen", out / "pathgen", "--to", "sharegpt", "--out", out / "data")
    _language_model(out)
    configs = folder("llamafactory")
    for phase in (1, 2):
        command(out, "llamafactory-cli", "train", configs / f"pathgen_phase{phase}.yaml", *_overrides(out, phase))
    held_out = [json.loads(line) for line in (out / "held_out" / "manifest.jsonl").read_text().splitlines()]
    asked = next(row for row in held_out if row["caption"] == _sentence(KINDS[1]))
    image = out / "held_out" / asked["image"]
    model = out / "saves" / "phase2"
    answer = command(out, "pathplugins", "ask", model, "--image", image, "--question", QUESTION, "--max-new-tokens", 32)
    say(f"\npatch:    {image}\nquestion: {QUESTION}\nanswer:   {answer.strip().splitlines()[-1]}")
    say(f"expected: {asked['caption']}")
    say(f"loss:     {model / 'training_loss.png'}\ntook {time.monotonic() - began:.0f} s")


def _slides(out: Path) -> None:
    """Draw a slide of each kind, and write the JSON that PathGen-1.6M would have for them."""
    rows: dict[str, list[dict[str, object]]] = {"pathgen": [], "held_out": []}
    for kind, shown in enumerate(KINDS):
        wsi_id = f"TCGA-DE-{kind:04}-01Z-00-DX1.{uuid.UUID(int=kind + 1)}"
        path = out / "slides" / f"{wsi_id}.svs"
        words = (path, "--size", "2048x1536", "--kind", kind, "--seed", kind)
        command(out, "pathdata", "demo-slide", *words, quiet=kind > 0)
        for name, corners in (("pathgen", CORNERS), ("held_out", [HELD_OUT])):
            for x, y in corners:
                rows[name].append({"wsi_id": wsi_id, "position": [str(x), str(y)], "caption": _sentence(shown)})
    for name, written in rows.items():
        (out / f"{name}.json").write_text(json.dumps(written, indent=1))


def _sentence(shown: str) -> str:
    return f"The patch shows {shown}."


def _language_model(out: Path) -> None:
    from pathplugins.data.prompts import LLAVA_SYSTEM_PROMPT, PATCH_CAPTION_REQUESTS
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    say("building a tiny untrained Llama in " + str(out / "llm"))
    texts = [LLAVA_SYSTEM_PROMPT, QUESTION, *PATCH_CAPTION_REQUESTS, *map(_sentence, KINDS)]
    build_tiny_llm(out / "llm", texts * 4, vocabulary=768, tied=False)


def _overrides(out: Path, phase: int) -> list[str]:
    """Return the settings in which a tiny model and a handful of patches differ from the shipped YAML."""
    words = [
        f"llm_name_or_path={out / 'llm'}",
        "vision_tower=null",
        "random_vision_seed=0",
        f"vision_config={TOWER}",
        f"dataset_dir={out / 'data'}",
        f"media_dir={out / 'data'}",
        "dataset=pathgen",
        f"output_dir={out / 'saves' / f'phase{phase}'}",
        "deepspeed=null",
        "per_device_train_batch_size=8",
        "preprocessing_num_workers=1",
        "dataloader_num_workers=0",
        "logging_steps=5",
        "bf16=false",
        "tf32=false",
    ]
    if phase == 1:
        return [*words, "num_train_epochs=8"]
    # A language model that starts from noise needs a rate that stays high.
    rates = ["learning_rate=2.0e-3", "lr_scheduler_type=constant_with_warmup", "num_train_epochs=40"]
    return [*words, f"projector_path={out / 'saves' / 'phase1'}", *rates]
