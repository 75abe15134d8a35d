"""PA-LLaVA on a laptop: drawn images, both stages in XTuner, one directory, an answer about an image not seen."""

from __future__ import annotations

import re
import time
from pathlib import Path

from pathplugins.commands.demo.steps import clear, command
from pathplugins.commands.lines import say
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.drawn import QUESTION, caption, read_drawn

STEPS = {"align": 60, "tune": 240}
"""Training steps of each stage: what four textures and a language model that starts from noise take."""


def run(out: Path) -> None:
    """Run the demo in the folder ``out``; every step is a command a user would type, and is shown."""
    out = out.absolute()
    clear(out)
    say("No weights are downloaded: vision tower, connector and language model are tiny and start UNTRAINED.")
    began = time.monotonic()
    command(out, "pathplugins", "configs", "copy", "pallava_smoke_align.py", "pallava_smoke_tune.py", "--to", out)
    aligned = _train(out, "align")
    trained = _train(out, "tune", f"model.pretrained_pth={aligned}")
    config = out / "pallava_smoke_tune.py"
    command(out, "pathplugins", "export", "xtuner", trained, "--config", config, "--out", out / "hf_model")
    held_out, _ = read_drawn(out / "held_out", images=4, seed=1)
    image = held_out[1]
    answer = command(out, "pathplugins", "ask", out / "hf_model", "--image", image.images[0], "--question", QUESTION)
    say(f"\nimage:    {image.images[0]}\nquestion: {QUESTION}\nanswer:   {answer.strip().splitlines()[-1]}")
    say(f"expected: {caption(image.meta['kind'])}\ntook {time.monotonic() - began:.0f} s")


def _train(out: Path, stage: str, *options: str) -> Path:
    """Train one stage; XTuner ends with exit code 0 whatever happens, so the checkpoint is what tells."""
    steps, work = STEPS[stage], out / "work" / stage
    overrides = [f"train_cfg.max_iters={steps}", "train_cfg.max_epochs=None", *options]
    overrides += [f"default_hooks.checkpoint.interval={steps}", "default_hooks.logger.interval=10"]
    config = out / f"pallava_smoke_{stage}.py"
    words = ["xtuner", "train", config, "--work-dir", work, "--seed", 0, "--cfg-options", *overrides]
    log = command(out, *words, cwd=out)
    checkpoint = work / f"iter_{steps}.pth"
    if not checkpoint.exists():
        tail = "\n".join(log.splitlines()[-25:])
        raise PathPluginsError(f"{config.name} wrote no {checkpoint}; all of it is in {out / 'logs'}:\n{tail}")
    losses = re.findall(r"loss: ([\d.]+)", log)
    say(f"  loss {losses[0]} -> {losses[-1]}")
    return checkpoint
