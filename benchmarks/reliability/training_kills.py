"""Killing training and evaluation at random moments, in the trainer of this environment: they end as if undisturbed.

Run from the repository root, in each environment: ``python -m benchmarks.reliability.training_kills [--kills N]
[--seed N] [--only training|evaluation]``.

A tiny image model trains on drawn images (LLaMA-Factory: LoRA and connector; XTuner: the shipped smoke configuration).
All processes get SIGKILL at a moment drawn from the time that the undisturbed run took, and the run is resumed as a
user would: by the same command, in XTuner with ``--resume`` where there is a checkpoint. Losses of every step and every
trained tensor must equal the undisturbed run's to the last bit. Then ``pathplugins evaluate`` is killed and started
again in the same way; its predictions and scores must be the same bytes. Exit code 1 otherwise.

Programs are forked from a process that has imported their packages, which saves minutes; what runs is the same.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.reliability.data_jobs import end_group
from pathplugins.data.formats.drawn import read_drawn
from pathplugins.weights import open_weights

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "fixtures"))
from prepared_python import LLAMAFACTORY, XTUNER, Prepared

BIN = Path(sys.executable).parent
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
TOWER |= {"image_size": 32, "patch_size": 8}
CHAT = "{% for message in messages %}<|start_header_id|>{{ message.content }}<|eot_id|>{% endfor %}"
RECIPE = {
    "model_name_or_path": "custom_llava",
    "llm_name_or_path": "tiny-untrained-llama",
    "vision_model_name": "clip",
    "random_vision_seed": 0,
    "vision_config": TOWER,
    "mm_vision_select_layer": -2,
    "mm_projector_type": "mlp2x_gelu",
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "lora_dropout": 0.1,
    "additional_target": "multi_modal_projector",
    "dataset_dir": ".",
    "dataset": "drawn",
    "template": "patch_vqa_llama3",
    "cutoff_len": 512,
    "preprocessing_num_workers": 1,
    "dataloader_num_workers": 0,
    "output_dir": "out",
    "logging_steps": 1,
    "save_steps": 3,
    "report_to": "none",
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "learning_rate": 2e-3,
    "num_train_epochs": 2,
    "seed": 42,
}

Start = Callable[..., "subprocess.Popen[bytes]"]


class Training:
    """A run of the trainer of this environment, in a folder of its own."""

    def __init__(self, folder: Path, start: Start, environment: dict[str, str]) -> None:
        self.folder, self.start, self.out = folder, start, folder / "out"
        self.xtuner = importlib.util.find_spec("xtuner") is not None
        if self.xtuner:
            copy = [BIN / "pathplugins", "configs", "copy", "pallava_smoke_align.py"]
            subprocess.run(copy, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
            return
        read_drawn(folder / "images", images=24, seed=0)
        info = {"drawn": {"file_name": "images", "formatting": "drawn"}}
        (folder / "dataset_info.json").write_text(json.dumps(info))
        (folder / "run.yaml").write_text(json.dumps(RECIPE))  # JSON is YAML

    def begin(self) -> subprocess.Popen[bytes]:
        """Start or resume it."""
        if not self.xtuner:
            return self.start("llamafactory-cli", "train", "run.yaml")
        resume = ["--resume"] if any(self.out.glob("iter_*.pth")) else []
        words = ("--work-dir", "out", *resume, "--seed", "42", "--cfg-options", "log_processor.window_size=1")
        return self.start("xtuner", "train", "pallava_smoke_align.py", *words)

    def result(self) -> tuple[dict[int, float], dict[str, bytes]]:
        """Return loss by step over all its starts, the last one's where several did a step; and the trained tensors."""
        losses: dict[int, float] = {}
        if self.xtuner:
            for scalars in sorted(self.out.glob("*/vis_data/scalars.json")):
                lines = map(json.loads, scalars.read_text().splitlines())
                losses |= {line["iter"]: line["loss"] for line in lines if "loss" in line}
            last = max(self.out.glob("iter_*.pth"), key=lambda path: int(path.stem[5:]))
            weights = open_weights(last)
        else:
            history = json.loads((self.out / "trainer_state.json").read_text())["log_history"]
            losses = {line["step"]: line["loss"] for line in history if "loss" in line}
            weights = open_weights(self.out / "adapter_model.safetensors")
        return losses, {name: tensor.numpy().tobytes() for name, tensor in weights.items()}

    def undo(self) -> None:
        """Remove what a run has written."""
        shutil.rmtree(self.out, ignore_errors=True)


class Evaluation:
    """``pathplugins evaluate`` with an untrained model, in a folder of its own."""

    def __init__(self, folder: Path, start: Start, environment: dict[str, str]) -> None:
        self.folder, self.start, self.out = folder, start, folder / "results"
        words = ["compose", "--llm", "tiny-untrained-llama", "--vision-model", "clip", "--random-vision-seed", "0"]
        words += ["--vision-config", json.dumps(TOWER), "--projector", "mlp2x_gelu", "--out", "model"]
        read_drawn(folder / "questions", images=60)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([BIN / "pathplugins", *words], cwd=folder, env=environment, check=True, **quiet)
        settings = folder / "model" / "tokenizer_config.json"
        settings.write_text(json.dumps({**json.loads(settings.read_text()), "chat_template": CHAT}))

    def begin(self) -> subprocess.Popen[bytes]:
        """Start it, or go on."""
        words = ("model", "--data", "questions", "--format", "drawn", "--option", "images=60", "--task", "vqa")
        words += ("--batch-size", "2", "--max-new-tokens", "32", "--device", "cpu", "--out", "results")
        return self.start("pathplugins", "evaluate", *words)

    def result(self) -> dict[str, bytes]:
        """Return predictions and scores."""
        return {path.name: path.read_bytes() for path in self.out.iterdir() if path.is_file()}

    def undo(self) -> None:
        """Remove what a run has written."""
        shutil.rmtree(self.out, ignore_errors=True)


def main() -> int:
    """Print what came of the kills; 1 if an end was not that of the undisturbed run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", choices=("", "training", "evaluation"))
    options = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        environment = _environment(Path(folder))
        packages = XTUNER if importlib.util.find_spec("xtuner") else LLAMAFACTORY
        (Path(folder) / "prepared").mkdir()
        prepared = Prepared(Path(folder, "prepared"), environment, packages)
        prepared.wait()
        for kind in (Training, Evaluation):
            if options.only in kind.__name__.lower():
                place = Path(folder, kind.__name__)
                place.mkdir()
                start = _starter(place, prepared, environment)
                wrong += _disturb(kind(place, start, environment), options.kills, random.Random(options.seed))
        prepared.close()
    return int(wrong > 0)


def _disturb(run: Any, kills: int, draw: random.Random) -> int:
    """Run once undisturbed, then with one kill each time; returns how many ends were others."""
    _end(run)  # composed models and tokenized samples are kept, which the next runs find
    run.undo()
    started = time.monotonic()
    _end(run)
    took, wanted, wrong, at_work = time.monotonic() - started, run.result(), [], 0
    for _ in range(kills):
        run.undo()
        process, moment = run.begin(), draw.uniform(0, took)
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        at_work += process.poll() is None
        end_group(process)
        there = sorted(path.name for path in run.out.glob("*")) if run.out.is_dir() else []
        _end(run)
        if run.result() != wanted:
            wrong.append(f"after {moment:.1f} s, with {there}")
    sys.stdout.write(
        f"{type(run).__name__.lower()}: {took:.1f} s undisturbed; {kills} kills, {at_work} of them before its end; "
        f"{len(wrong)} ends differ\n{''.join(f'  {line}{chr(10)}' for line in wrong)}"
    )
    sys.stdout.flush()
    return len(wrong)


def _end(run: Any) -> None:
    """Let it run to its end."""
    process = run.begin()
    if code := process.wait():
        text = (run.folder / "log.txt").read_text(errors="replace")
        raise SystemExit(f"exit code {code}: {' '.join(map(str, process.args))}\n...{text[-3000:]}")


def _starter(folder: Path, prepared: Prepared, environment: dict[str, str]) -> Start:
    def start(program: str, *words: str) -> subprocess.Popen[bytes]:
        with (folder / "log.txt").open("w") as log:
            return subprocess.Popen(
                [prepared.python, str(BIN / program), *words],
                cwd=folder,
                env={**environment, **prepared.variables(environment)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    return start


def _environment(folder: Path) -> dict[str, str]:
    own = {"PATHPLUGINS_CACHE": str(folder / "cache"), "HF_DATASETS_CACHE": str(folder / "datasets")}
    own |= {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    own |= {"TOKENIZERS_PARALLELISM": "false", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    os.environ.update(own)
    return dict(os.environ)


if __name__ == "__main__":
    sys.exit(main())
