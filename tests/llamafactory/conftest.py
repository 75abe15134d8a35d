"""A toy that only the features can solve, and the real ``llamafactory-cli`` on the shipped configurations."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prepared_python import LLAMAFACTORY, Prepared

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "llamafactory_configs"
TISSUES = ("lymphoid", "stroma", "tumor", "adipose")
QUESTION = "Which tissue dominates this slide?"
WIDTH = 16
"""Of the patch features; the tower is 32 wide, the language model 64."""
TOWER = '{"num_heads":4,"segment_lengths":[16,32],"dilated_ratios":[1,2]}'
"""Without blanks: LLaMA-Factory splits there when it starts torchrun."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that has ended."""

    command: list[str]
    rc: int
    log: str
    out: Path | None

    def state(self) -> dict[str, Any]:
        """``trainer_state.json`` of the run."""
        return json.loads((self.out / "trainer_state.json").read_text())

    def logged(self, key: str) -> dict[int, float]:
        """Step -> value of everything logged under ``key``."""
        return {entry["step"]: entry[key] for entry in self.state()["log_history"] if key in entry}


class Toy:
    """Bags of four feature clusters, tables about which one dominates, a tiny tower and a tiny language model."""

    def __init__(self, root: Path, *, train: int, val: int) -> None:
        self.root, self.data = root, root / "data"
        self.llm, self.tower = root / "llm", root / "slide_encoder.pth"
        self.rng = np.random.default_rng(0)
        self.centres = self.rng.normal(size=(len(TISSUES), WIDTH)) * 2
        for split, count in (("train", train), ("val", val), ("few", 8)):
            self.table(split, [self.row(self.bag(f"{split}{i}", i % 4), i % 4) for i in range(count)])

    def bag(self, name: str, label: int, *, rows: int | None = None) -> Path:
        """A bag of which at least 60 % of the patches come from cluster ``label``."""
        from pathplugins.data.bags import BagAttributes, write_bag

        n = rows or int(self.rng.integers(9, 31))
        cluster = np.concatenate([np.full(-(-n * 6 // 10), label), self.rng.integers(0, 4, n - -(-n * 6 // 10))])
        features = self.centres[self.rng.permutation(cluster)] + self.rng.normal(size=(n, WIDTH)) * 0.5
        cells = self.rng.choice(40 * 30, n, replace=False)
        sizes = {"patch_size": 256, "patch_size_level0": 256, "mpp": 0.5, "level0_mpp": 0.5}
        about = BagAttributes(slide_id=name, encoder="toy", level0_width=7680, level0_height=10240, **sizes)
        path = self.data / "bags" / f"{name}.h5"
        write_bag(path, [features.astype(np.float32)], np.stack([cells // 30, cells % 30], 1) * 256, about)
        return path

    def row(self, bag: Path, label: int) -> dict[str, str]:
        """One line of a table."""
        name = TISSUES[label]
        return {
            "h5_path": f"bags/{bag.name}",
            "caption": f"The slide shows mostly {name} tissue.",
            "question": QUESTION,
            "answer": f"Mostly {name} tissue.",
            "slide_id": bag.stem,
            "dataset": "toy",
        }

    def table(self, name: str, rows: list[dict[str, str]]) -> None:
        """Write ``name.csv`` and name it in ``dataset_info.json`` as NAME_report and NAME_vqa."""
        with (self.data / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        for mode in ("report", "vqa"):
            self.info(f"{name}_{mode}", {"file_name": f"{name}.csv", "formatting": "wsi_csv", "subset": mode})

    def info(self, name: str, entry: dict[str, Any]) -> None:
        """Add to ``dataset_info.json``."""
        path = self.data / "dataset_info.json"
        known = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps({**known, name: entry}))

    @property
    def model_keys(self) -> dict[str, Any]:
        """What has to change in the shipped files for parts of this size."""
        return {
            "llm_name_or_path": self.llm,
            "vision_tower": self.tower,
            "vision_config": TOWER,
            "image_seq_length": 12,
            "patches_per_wsi": 24,
        }


def _save_tower(path: Path, **options: Any) -> None:
    """Random weights of a slide encoder in the layout of the prov-gigapath release."""
    import torch

    from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT

    torch.manual_seed(0)
    tower = LongNetViT(LongNetConfig(in_chans=WIDTH, **options))
    for parameter in tower.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
    tower.reset_parameters()
    torch.save({"model": {f"slide_encoder.{key}": value for key, value in tower.state_dict().items()}}, path)


def teach_to_count(folder: Path, *, steps: int = 130) -> None:
    """Train the tiny language model, in place, to say which tissue is *named* most often where the slide will stand.

    Stage 2 then has what it has in earnest: a language model that knows the words and has never seen a slide.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from pathplugins.data.prompts import REPORT_REQUEST, SYSTEM_PROMPT

    encode = AutoTokenizer.from_pretrained(folder).encode
    start, end = "<|start_header_id|>{}<|end_header_id|>\n\n", "<|eot_id|>"
    before = encode("<|begin_of_text|>" + start.format("system") + SYSTEM_PROMPT + end + start.format("user"))
    after = [encode("\n" + request + end + start.format("assistant")) for request in (REPORT_REQUEST, QUESTION)]
    answers = ("The slide shows mostly {} tissue.", "Mostly {} tissue.")
    answers = [[encode(answer.format(name) + end) for name in TISSUES] for answer in answers]
    words = [encode(f" {name}")[0] for name in TISSUES]

    model = AutoModelForCausalLM.from_pretrained(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        ids, labels = [], []
        for label, task in zip(rng.integers(0, 4, 16), rng.integers(0, 2, 16), strict=True):
            named = [words[label if rng.random() < 0.7 else rng.integers(0, 4)] for _ in range(13)]
            prompt, answer = [*named, *after[task]], answers[task][label]
            ids.append(torch.tensor(prompt + answer))
            labels.append(torch.tensor([-100] * len(prompt) + answer))
        pad = torch.nn.utils.rnn.pad_sequence
        # All begin alike, with three quarters of their tokens, which are read once.
        begun = model(input_ids=torch.tensor([before]), use_cache=True).past_key_values
        begun.batch_repeat_interleave(len(ids))
        model(input_ids=pad(ids, True), labels=pad(labels, True, -100), past_key_values=begun).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables of every process that is started; this process keeps its composed models in the same place."""
    cache = tmp_path_factory.mktemp("cache")
    own = {"PATHPLUGINS_CACHE": str(cache / "pathplugins"), "HF_DATASETS_CACHE": str(cache / "datasets")}
    own |= {
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        for name in [name for name in os.environ if name.startswith("PATHPLUGINS_") and name not in own]:
            patch.delenv(name)
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        yield dict(os.environ)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Toy:
    from pathplugins.data import prompts
    from pathplugins.models.compose.tiny_llm import build_tiny_llm

    del environment
    made = Toy(tmp_path_factory.mktemp("toy"), train=256, val=64)
    _save_tower(made.tower, embed_dim=32, depth=2, num_heads=4)
    answers = [f"The slide shows mostly {name} tissue. Mostly {name} tissue." for name in TISSUES]
    texts = [prompts.SYSTEM_PROMPT, prompts.REPORT_REQUEST, QUESTION, *answers]
    build_tiny_llm(made.llm, texts * 4, vocabulary=640, hidden_size=64)
    teach_to_count(made.llm)
    return made


@pytest.fixture(scope="session")
def prepared(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """A Python that has imported what LLaMA-Factory builds on, but neither LLaMA-Factory nor us."""
    made = Prepared(tmp_path_factory.mktemp("prepared"), environment, LLAMAFACTORY)
    made.wait()
    yield made
    made.close()


@pytest.fixture(scope="session")
def start(environment: dict[str, str], prepared: Prepared) -> Callable[..., subprocess.Popen[str]]:
    """Start a program of the environment that runs the tests, in a process group of its own.

    With ``cold`` every one of its processes is an interpreter that imports everything itself.
    """

    def start(*command: str, log: Path, env: dict[str, str] | None = None, cold: bool = False) -> subprocess.Popen[str]:
        program = [str(Path(sys.executable).parent / command[0]), *command[1:]]
        with log.open("w") as file:
            return subprocess.Popen(
                program if cold else [prepared.python, *program],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**environment, **({} if cold else prepared.variables(environment)), **(env or {})},
                start_new_session=True,
            )

    return start


@pytest.fixture(scope="session")
def run(start: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Finished]:
    """Run ``llamafactory-cli COMMAND CONFIG key=value ...`` to its end; ``rc=None`` takes any exit code."""

    def run(
        command: str,
        config: str | Path,
        keys: dict[str, Any],
        *,
        env: dict[str, str] | None = None,
        rc: int | None = 0,
        cold: bool = False,
    ) -> Finished:
        log = tmp_path_factory.mktemp("log") / "log.txt"
        line = ["llamafactory-cli", command, str(CONFIGS / config), *_typed(keys)]
        process = start(*line, log=log, env=env, cold=cold)
        try:
            code = process.wait(timeout=600)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _kill(process)
        text = log.read_text(errors="replace")
        if code is None or (rc is not None and code != rc):
            pytest.fail(f"exit code {code}, wanted {rc}: {' '.join(line)}\n...{text[-6000:]}", pytrace=False)
        return Finished(command=line, rc=code, log=text, out=Path(keys["output_dir"]) if "output_dir" in keys else None)

    return run


def _typed(keys: dict[str, Any]) -> list[str]:
    """Keys as words of a command line."""
    return [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in keys.items()]


@pytest.fixture(scope="session")
def refused(environment: dict[str, str]) -> Callable[..., str]:
    """Start ``llamafactory-cli train CONFIG key=value ...`` in this process; what it says when it refuses to train."""
    del environment

    def refused(config: str, keys: dict[str, Any]) -> str:
        from llamafactory.train.tuner import run_exp

        from pathplugins.core.errors import PathPluginsError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["llamafactory-cli", str(CONFIGS / config), *_typed(keys)])
            patch.setattr("llamafactory.train.sft.workflow.load_model", lambda *_: pytest.fail("loads a model"))
            with pytest.raises(PathPluginsError) as raised:
                run_exp()
        return str(raised.value)

    return refused


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="session")
def stop() -> Callable[[subprocess.Popen[str]], None]:
    """Kill whatever is left of a process group that `start` made."""
    return _kill


@pytest.fixture(scope="session")
def save_tower() -> Callable[..., None]:
    """Write a slide encoder of any size as a release would."""
    return _save_tower


@pytest.fixture(scope="session")
def configs() -> Path:
    """The folder of the shipped files."""
    return CONFIGS


@pytest.fixture(scope="session")
def quick(toy: Toy) -> dict[str, Any]:
    """Overrides that every training run here has: the toy's parts and paths, no waste on two cores."""
    return {
        **toy.model_keys,
        "dataset_dir": toy.data,
        "cutoff_len": 512,
        "preprocessing_num_workers": 1,
        "dataloader_num_workers": 0,
        "projector_dropout": 0.0,
        "bf16": False,
        "plot_loss": False,
    }


@pytest.fixture(scope="session")
def stage2(run: Callable[..., Finished], toy: Toy, quick: dict[str, Any]) -> Finished:
    """Stage 2 by its shipped file."""
    own = {
        "dataset": "train_report",
        "eval_dataset": "val_report",
        "output_dir": toy.root / "stage2",
        "plot_loss": True,
    }
    pace = {"num_train_epochs": 2, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 1}
    pace |= {"learning_rate": 1e-2, "eval_steps": 32, "save_steps": 32, "per_device_eval_batch_size": 32}
    return run("train", "wsi_llava_stage2.yaml", {**quick, **own, **pace}, cold=True)


@pytest.fixture(scope="session")
def stage3(run: Callable[..., Finished], toy: Toy, quick: dict[str, Any], stage2: Finished) -> Finished:
    """Stage 3 by its shipped file, on what stage 2 has written."""
    own = {"dataset": "train_vqa", "eval_dataset": "val_vqa", "output_dir": toy.root / "stage3", "plot_loss": True}
    pace = {"num_train_epochs": 4, "per_device_train_batch_size": 16, "gradient_accumulation_steps": 1}
    pace |= {"learning_rate": 2e-3, "eval_steps": 32, "save_steps": 32, "per_device_eval_batch_size": 32}
    pace |= {
        "lora_dropout": 0.0,
        "loraplus_lr_ratio": 4.0,
        "warmup_ratio": 0.05,
        "projector_path": stage2.out / "mm_projector.bin",
    }
    return run("train", "wsi_llava_stage3.yaml", {**quick, **own, **pace})


@pytest.fixture(scope="session")
def merged(run: Callable[..., Finished], toy: Toy, stage2: Finished, stage3: Finished) -> Path:
    """The directory that the shipped export file writes."""
    keys = {**toy.model_keys, "projector_dropout": 0.0, "projector_path": stage2.out / "mm_projector.bin"}
    run(
        "export",
        "wsi_llava_export.yaml",
        {**keys, "adapter_name_or_path": stage3.out, "export_dir": toy.root / "merged"},
    )
    return toy.root / "merged"


@pytest.fixture(scope="session")
def mixed(toy: Toy, quick: dict[str, Any]) -> dict[str, Any]:
    """48 steps of stage 2 on bags and on text without a slide, one sample a batch; other patches in each epoch."""
    text = [
        {
            "conversations": [
                {"from": "human", "value": "What is next?"},
                {"from": "gpt", "value": f"Mostly {name} tissue."},
            ]
        }
        for name in TISSUES * 2
    ]
    (toy.data / "text.json").write_text(json.dumps(text))
    toy.info("text", {"file_name": "text.json", "formatting": "sharegpt"})
    toy.table("some", [toy.row(toy.bag(f"some{i}", i % 4), i % 4) for i in range(24)])
    pace = {
        "num_train_epochs": 3,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 2,
        "logging_steps": 1,
    }
    pace |= {"learning_rate": 1e-2, "save_steps": 20, "eval_strategy": '"no"', "load_best_model_at_end": False}
    sampled = {"image_seq_length": 5, "patches_per_wsi": 7, "dataset": "some_report,text", "eval_dataset": "null"}
    return {**quick, **pace, **sampled}


@pytest.fixture(scope="session")
def plain(run: Callable[..., Finished], toy: Toy, mixed: dict[str, Any]) -> Finished:
    """The mixed run in one process, undisturbed."""
    return run("train", "wsi_llava_stage2.yaml", {**mixed, "output_dir": toy.root / "plain"})


@pytest.fixture(scope="session")
def typed(toy: Toy) -> dict[str, Any]:
    """Keys of a run of the toy's model, with the types that YAML gives them."""
    keys = {key: str(value) if isinstance(value, Path) else value for key, value in toy.model_keys.items()}
    return {"model_name_or_path": "custom_llava", **keys, "vision_config": json.loads(keys["vision_config"])}


@pytest.fixture(scope="session")
def arguments(environment: dict[str, str]) -> Any:
    """Our model arguments."""
    del environment
    import llamafactory.hparams.parser  # noqa: F401 - with the hook in place

    from pathplugins.llamafactory.arguments import PathModelArguments

    return PathModelArguments


def _ready_to_ask(spec: Any, template: str, folder: Path) -> Path:
    """Compose a directory with the chat template that training would leave in it; its connector has learnt nothing."""
    import shutil

    from llamafactory.data.template import TEMPLATES
    from transformers import AutoProcessor

    from pathplugins.models.compose.compose import composed

    shutil.copytree(composed(spec), folder)
    processor = AutoProcessor.from_pretrained(folder)
    TEMPLATES[template].fix_jinja_template(processor.tokenizer)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bag_model(toy: Toy) -> Path:
    """A model that reads the toy's bags."""
    from pathplugins.models.compose.spec import ComposeSpec

    options = {"vision_tower": str(toy.tower), "vision_config": json.loads(TOWER)}
    spec = ComposeSpec(llm=str(toy.llm), image_seq_length=12, patches_per_wsi=24, **options)
    return _ready_to_ask(spec, "custom_vqa_llama3", toy.root / "bag_model")


@pytest.fixture(scope="session")
def picture_model(toy: Toy) -> Path:
    """A model that reads pictures."""
    from pathplugins.models.compose.spec import ComposeSpec

    eye = {**SMALL_EYE, "image_size": 16, "patch_size": 8}
    options = {"vision_model_name": "clip", "random_vision_seed": 0, "vision_config": eye, "image_aspect_ratio": "pad"}
    spec = ComposeSpec(llm=str(toy.llm), mm_projector_type="mlp2x_gelu", **options)
    return _ready_to_ask(spec, "patch_vqa_llama3", toy.root / "picture_model")


SMALL_EYE = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder: six pictures, with preferences, marked answers and questions about them."""
    folder = tmp_path_factory.mktemp("pictures")
    asked = "<image>\nWhich tissue dominates this slide?"
    preferred, marked, answered = [], [], []
    for number in range(6):
        path = folder / f"{number}.png"
        Image.new("RGB", (40 + 8 * number, 56), (40 * number, 90, 200)).save(path)
        names = ("stroma", "tumor") if number % 2 else ("tumor", "stroma")
        good, bad = (f"Mostly {name} tissue." for name in names)
        turns = {"conversations": [{"from": "human", "value": asked}], "images": [str(path)]}
        said = {role: {"from": "gpt", "value": text} for role, text in (("chosen", good), ("rejected", bad))}
        preferred.append({**turns, **said})
        answer = [{"from": "gpt", "value": good}]
        marked.append({**turns, "conversations": turns["conversations"] + answer, "good": number % 3 > 0})
        answered.append({**turns, "conversations": turns["conversations"] + answer})
    columns = {"messages": "conversations", "images": "images"}
    ranking = {"ranking": True, "columns": {**columns, "chosen": "chosen", "rejected": "rejected"}}
    info = {
        "preferred": ranking,
        "marked": {"columns": {**columns, "kto_tag": "good"}},
        "answered": {"columns": columns},
    }
    for name, rows in (("preferred", preferred), ("marked", marked), ("answered", answered)):
        (folder / f"{name}.json").write_text(json.dumps(rows))
        info[name] |= {"file_name": f"{name}.json", "formatting": "sharegpt"}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


@pytest.fixture(scope="session")
def train_here(
    toy: Any, pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., list[dict[str, Any]]]:
    """Train two steps, in this process, with these keys; what was logged."""

    def train_here(**keys: Any) -> list[dict[str, Any]]:
        from llamafactory.train.tuner import run_exp

        out = Path(keys.pop("output_dir", tmp_path_factory.mktemp("out") / "run"))
        model = {"model_name_or_path": "custom_llava", "llm_name_or_path": str(toy.llm), "vision_model_name": "clip"}
        model |= {"random_vision_seed": 0, "vision_config": {**SMALL_EYE, "image_size": 16, "patch_size": 8}}
        model |= {"mm_projector_type": "mlp2x_gelu", "image_aspect_ratio": "pad", "mm_vision_select_layer": -1}
        model |= {"template": "patch_vqa_llama3", "finetuning_type": "lora", "lora_dropout": 0.0}
        model |= {"additional_target": "multi_modal_projector", "dataset_dir": str(pictures), "cutoff_len": 256}
        pace = {"do_train": True, "per_device_train_batch_size": 2, "max_steps": 2, "learning_rate": 2e-2}
        pace |= {"logging_steps": 1, "save_strategy": "no", "report_to": "none", "use_cpu": True}
        pace |= {"preprocessing_num_workers": 1, "output_dir": str(out)}
        run_exp({**model, **pace, **keys})
        return json.loads((out / "trainer_state.json").read_text())["log_history"]

    return train_here
