"""Start of ``xtuner train``: our smoke run of PA-LLaVA against a stock XTuner run of the same size.

Run from the repository root in an XTuner environment: ``python -m benchmarks.xtuner_start [--rounds N]``. Seconds from
the start of the process to the line of its first training iteration. *Ours* is ``pallava_smoke_align.py``; *stock* is
XTuner's own ``LLaVAModel``, ``LLaVADataset``, hooks and optimizer on the same language model, a CLIP tower of the same
size, the same images and captions and as short a question before the first step. One process, CPU, caches warm: one
start of each is not counted, ours finds its tokenized texts and checked images, stock the offline folder that XTuner's
own script wrote. *stock, JSON* tokenizes at every start, as XTuner's shipped configurations do. All need our hook to
run on a machine without a GPU at all. They take turns; what is compared is the median difference of a round.
*Processor* is what the whole run used, its subprocesses included, which a busy machine disturbs less.

The split is measured once and apart, in one process that builds what the configuration names: *import* (XTuner's
training code and every module the configuration names), *model*, *dataset*. The rest of a start is ``xtuner`` itself,
the runner, the question and the first iteration. The least a start can take is the import of XTuner, torch and
Transformers, which stock pays as we do; less than 1 MB of weights and 24 images take milliseconds to read.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pathplugins.commands.configs import folder

BAR_S = 5.0
RUNS = {"ours": "pallava_smoke_align.py", "stock": "stock.py", "stock, JSON": "stock_json.py"}
"""What is compared -> its configuration; the bar is held to the second."""
PARTS = ("import", "model", "dataset")
SIZE = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
"""Of the vision tower, as in the smoke configuration."""
_FIRST = re.compile(r"Iter\(train\) \[\s*1/")

STOCK_CONFIG = """
from mmengine.hooks import CheckpointHook, DistSamplerSeedHook, IterTimerHook, LoggerHook, ParamSchedulerHook
from mmengine.optim import OptimWrapper
from peft import LoraConfig
from torch.optim import AdamW
from transformers import AutoModelForCausalLM, AutoTokenizer, CLIPImageProcessor, CLIPVisionModel
from xtuner.dataset import LLaVADataset
from xtuner.dataset.collate_fns import default_collate_fn
from xtuner.dataset.map_fns import llava_map_fn, template_map_fn_factory
from xtuner.dataset.samplers import LengthGroupedSampler
from xtuner.engine.hooks import DatasetInfoHook, EvaluateChatHook
from xtuner.engine.runner import TrainLoop
from xtuner.model import LLaVAModel
from xtuner.utils import PROMPT_TEMPLATE

tokenizer = dict(type=AutoTokenizer.from_pretrained, pretrained_model_name_or_path={llm!r}, padding_side="right")
image_processor = dict(type=CLIPImageProcessor.from_pretrained, pretrained_model_name_or_path={clip!r})
model = dict(
    type=LLaVAModel,
    freeze_llm=True,
    freeze_visual_encoder=True,
    llm=dict(type=AutoModelForCausalLM.from_pretrained, pretrained_model_name_or_path={llm!r}),
    llm_lora=dict(type=LoraConfig, r=16, lora_alpha=32, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM"),
    visual_encoder=dict(type=CLIPVisionModel.from_pretrained, pretrained_model_name_or_path={clip!r}),
)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(
        type=LLaVADataset,
        data_path={data!r},
        offline_processed_text_folder={offline!r},
        image_folder={images!r},
        tokenizer=tokenizer,
        image_processor=image_processor,
        dataset_map_fn=llava_map_fn,
        template_map_fn=dict(type=template_map_fn_factory, template=PROMPT_TEMPLATE.llama3_chat),
        max_length=512,
        pad_image_to_square=True,
    ),
    sampler=dict(type=LengthGroupedSampler, length_property="modality_length", per_device_batch_size=4),
    collate_fn=dict(type=default_collate_fn),
)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=AdamW, lr=2e-3, betas=(0.9, 0.999), weight_decay=0),
    clip_grad=dict(max_norm=1, error_if_nonfinite=False),
    accumulative_counts=1,
)
param_scheduler = []
train_cfg = dict(type=TrainLoop, max_epochs=2)
custom_hooks = [
    dict(type=DatasetInfoHook, tokenizer=tokenizer),
    dict(
        type=EvaluateChatHook,
        tokenizer=tokenizer,
        image_processor=image_processor,
        every_n_iters=1000,
        evaluation_inputs=["Describe the image."],
        evaluation_images=None,
        max_new_tokens=16,
        prompt_template=PROMPT_TEMPLATE.llama3_chat,
    ),
]
default_hooks = dict(
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, log_metric_by_epoch=False, interval=1),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(type=CheckpointHook, by_epoch=False, interval=4, max_keep_ckpts=20),
    sampler_seed=dict(type=DistSamplerSeedHook),
)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="gloo"),
)
visualizer = None
log_level = "INFO"
log_processor = dict(by_epoch=False)
randomness = dict(seed=None, deterministic=False)
load_from = None
resume = False
"""


def prepare(root: Path) -> None:
    """Make the language model, tower, images and configurations of both runs."""
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    from pathplugins.data.formats.drawn import read_drawn
    from pathplugins.models.compose.tiny_llm import tiny_llm

    for config in folder("xtuner").glob("*.py"):
        (root / config.name).write_text(config.read_text())
    CLIPVisionModel(CLIPVisionConfig(**SIZE)).save_pretrained(root / "clip")
    sides = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPImageProcessor(**sides).save_pretrained(root / "clip")
    images = root / "pallava_smoke_images"  # where the smoke configuration draws them
    rows = []
    for record in read_drawn(images)[0]:
        turns = [
            {"from": speaker, "value": turn.text}
            for speaker, turn in zip(("human", "gpt"), record.conversations, strict=True)
        ]
        rows.append({"id": record.id, "image": Path(record.images[0]).name, "conversations": turns})
    (root / "train.json").write_text(json.dumps(rows))
    paths = {
        "llm": str(tiny_llm()),
        "clip": str(root / "clip"),
        "data": str(root / "train.json"),
        "images": str(images),
    }
    offline = str(root / "texts")
    (root / RUNS["stock, JSON"]).write_text(STOCK_CONFIG.format(offline=None, **paths))
    (root / RUNS["stock"]).write_text(STOCK_CONFIG.format(offline=offline, **paths))
    script = ["-m", "xtuner.tools.process_untokenized_llava_data", RUNS["stock, JSON"], "--save-folder", offline]
    subprocess.run([sys.executable, *script], cwd=root, capture_output=True, check=True)


def start_s(root: Path, config: str) -> tuple[float, float]:
    """Seconds until the first iteration is logged, and of processor until the run ends, which is soon after."""
    options = ["train_cfg.max_iters=1", "train_cfg.max_epochs=None"]
    program = Path(sys.executable).with_name("xtuner")
    words = [program, "train", config, "--seed", "0", "--work-dir", "work", "--cfg-options", *options]
    used, began, seen, said = processor_s(), time.perf_counter(), None, []
    with subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        for line in run.stdout:
            said.append(line)
            if seen is None and _FIRST.search(line):
                seen = time.perf_counter() - began
    if seen is None:  # whatever happens, xtuner ends with exit code 0
        raise RuntimeError(f"{config} trained nothing:\n{''.join(said[-30:])}")
    return seen, processor_s() - used


def processor_s() -> float:
    """Seconds of processor of the subprocesses that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def split_s(root: Path, config: str) -> dict[str, float]:
    """Seconds of each part of a start."""
    words = [sys.executable, "-m", "benchmarks.xtuner_start", "--split", str(root / config)]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        words, cwd=root, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(run.stdout.splitlines()[-1])


def split(config: str) -> dict[str, float]:
    """Build what the configuration names, in the order of MMEngine's runner."""
    times = [time.perf_counter()]
    import xtuner.tools.train  # noqa: F401, TID251 - what is measured
    from mmengine.config import Config
    from xtuner.registry import BUILDER  # noqa: TID251

    cfg = Config.fromfile(config)
    resolve(cfg._cfg_dict)
    times.append(time.perf_counter())
    for part in (cfg.model, cfg.train_dataloader.dataset):
        BUILDER.build(part)
        times.append(time.perf_counter())
    return {name: end - start for name, start, end in zip(PARTS, times[:-1], times[1:], strict=True)}


def resolve(node: Any) -> None:
    """Read every value, upon which MMEngine imports what it names."""
    if isinstance(node, Mapping):
        resolve(list(node.values()))
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for value in node:
            resolve(value)


def main() -> int:
    """Print the table; 1 when ours starts later than the bar allows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--split", metavar="CONFIG", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.split is not None:
        print(json.dumps(split(options.split)))
        return 0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        bin_and_path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        os.environ |= {"PATH": bin_and_path, "PATHPLUGINS_CACHE": str(root / "cache"), "OMP_NUM_THREADS": "1"}
        prepare(root)
        rounds: list[dict[str, tuple[float, float]]] = []
        for turn in range(options.rounds + 1):
            seconds = {run: start_s(root, config) for run, config in RUNS.items()}
            if turn:  # the first fills the caches
                rounds.append(seconds)
                print(
                    f"round {turn}: {', '.join(f'{run} {wall:.2f} s' for run, (wall, _) in seconds.items())}",
                    flush=True,
                )
        parts = {run: split_s(root, config) for run, config in RUNS.items()}
    print(f"{'median':12} {'start s':>8} {'processor':>9} {' '.join(f'{part:>8}' for part in PARTS)}")
    for run in RUNS:
        wall, processor = (statistics.median(seconds[run][clock] for seconds in rounds) for clock in (0, 1))
        print(f"{run:12} {wall:>8.2f} {processor:>9.2f} {' '.join(f'{parts[run][part]:>8.2f}' for part in PARTS)}")
    later = {run: [seconds["ours"][0] - seconds[run][0] for seconds in rounds] for run in list(RUNS)[1:]}
    for run, added in later.items():
        spread = f"{min(added):+.2f} to {max(added):+.2f}"
        print(f"ours after {run}: {statistics.median(added):+.2f} s (median of {len(added)} rounds, {spread})")
    kept = statistics.median(later["stock"]) <= BAR_S
    print(f"bar {BAR_S} s: {'kept' if kept else 'MISSED'}")
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
