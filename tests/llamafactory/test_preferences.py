"""Preferences about bags in the shipped file: DPO, ORPO, SimPO, KTO and a reward model."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathplugins.cli import main
from pathplugins.core.errors import BadSamplesError

pytestmark = pytest.mark.host

SHIPPED = "wsi_llava_dpo.yaml"
PAIRS, MARKED = "wsi_preferences_{}", "wsi_marked_{}"
QUESTION = "Which tissue dominates this slide?"
NAMES = ("lymphoid", "stroma", "tumor", "adipose")


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def rows_of(bags: list[Path]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Pairs, and marked answers of which every third is bad, about bags whose label is their number modulo 4."""
    pairs, marked = [], []
    for number, bag in enumerate(bags):
        right, wrong = (f"Mostly {NAMES[(number + by) % 4]} tissue." for by in (0, 1))
        asked = {"h5_path": str(bag), "question": QUESTION}
        pairs.append({**asked, "chosen": right, "rejected": wrong})
        marked.append({**asked, "answer": right if number % 3 else wrong, "kto_tag": bool(number % 3)})
    return pairs, marked


@pytest.fixture(scope="module")
def data(toy: Any, configs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the files that the shipped ``dataset_info.json`` names."""
    folder = tmp_path_factory.mktemp("preferences")
    (folder / "dataset_info.json").write_bytes((configs / "dataset_info.json").read_bytes())
    for part, count in (("train", 12), ("val", 4)):
        pairs, marked = rows_of([toy.bag(f"preferred_{part}{number}", number % 4) for number in range(count)])
        table(folder / f"preferences_{part}.csv", pairs)
        table(folder / f"marked_{part}.csv", marked)
    return folder


@pytest.fixture(scope="module")
def keys(bag_model: Path, data: Path) -> dict[str, Any]:
    """What has to change in the shipped file for parts of this size."""
    quick = {"model_name_or_path": bag_model, "dataset_dir": data, "cutoff_len": 256, "bf16": False}
    quick |= {"preprocessing_num_workers": 1, "dataloader_num_workers": 0, "plot_loss": False}
    pace = {"max_steps": 3, "logging_steps": 1, "eval_steps": 3, "save_strategy": '"no"', "warmup_ratio": 0.0}
    pace |= {"per_device_train_batch_size": 4, "per_device_eval_batch_size": 4, "gradient_accumulation_steps": 1}
    return {**quick, **pace, "learning_rate": 5e-3}


@pytest.fixture
def train(configs: Path, keys: dict[str, Any], tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Run the shipped file, as ``llamafactory-cli train`` does, in this process; what was logged."""

    def train(**more: Any) -> list[dict[str, Any]]:
        from llamafactory.train.tuner import run_exp

        out = tmp_path / "out"
        typed = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in more.items()]
        usual = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in keys.items()]
        with pytest.MonkeyPatch.context() as patch:
            line = ["llamafactory-cli", str(configs / SHIPPED), *usual, "use_cpu=true", f"output_dir={out}", *typed]
            patch.setattr(sys, "argv", line)
            run_exp()
        return json.loads((out / "trainer_state.json").read_text())["log_history"]

    return train


def test_the_shipped_file_learns_what_is_preferred(
    run: Callable[..., Any], keys: dict[str, Any], toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run("train", SHIPPED, {**keys, "output_dir": tmp_path / "out", "max_steps": 4, "eval_steps": 4})
    losses = done.logged("loss")
    assert losses[1] == pytest.approx(math.log(2), abs=1e-4), "before the first step the model is its own reference"
    assert losses[4] < losses[1] - 0.01
    assert len(done.logged("rewards/accuracies")) == 4
    assert len(done.logged("eval_rewards/margins")) == 1
    words = ["ask", keys["model_name_or_path"], "--adapter", tmp_path / "out", "--max-new-tokens", 4]
    asked = [*words, "--bag", toy.data / "bags" / "few0.h5", "--question", QUESTION, "--json"]
    capsys.readouterr()
    assert main(list(map(str, asked))) == 0
    assert "answer" in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("more", "logged"),
    [
        ({"pref_loss": "orpo"}, "odds_ratio_loss"),
        ({"pref_loss": "simpo"}, "rewards/margins"),
        ({"stage": "rm"}, "eval_accuracy"),
        ({"stage": "kto", "dataset": MARKED.format("train"), "eval_dataset": MARKED.format("val")}, "kl"),
    ],
    ids=["orpo", "simpo", "rm", "kto"],
)
def test_the_commands_in_its_head_train(
    train: Callable[..., Any], more: dict[str, Any], logged: str, configs: Path
) -> None:
    head = (configs / SHIPPED).read_text().partition("\n\n")[0]
    assert all(f"{key}={value}" in head or value in head for key, value in more.items())
    history = train(**more)
    losses = [line["loss"] for line in history if "loss" in line]
    assert len(losses) == 3
    assert all(map(math.isfinite, losses))
    assert len({round(loss, 6) for loss in losses}) == 3, "it must learn something"
    assert any(logged in line for line in history)


@pytest.fixture
def spoilt(data: Path, toy: Any, tmp_path: Path) -> Path:
    """The same data with a missing bag, half a bag and equal answers."""
    pairs, _ = rows_of([toy.bag(f"spoilt{number}", number % 4) for number in range(8)])
    pairs[1]["h5_path"] = "nowhere.h5"
    half = tmp_path / "half.h5"
    half.write_bytes(Path(pairs[2]["h5_path"]).read_bytes()[:900])
    pairs[2]["h5_path"] = str(half)
    pairs[3]["rejected"] = pairs[3]["chosen"]
    folder = tmp_path / "data"
    folder.mkdir()
    table(folder / "preferences_train.csv", pairs)
    for name in ("dataset_info.json", "preferences_val.csv"):
        (folder / name).write_bytes((data / name).read_bytes())
    return folder


def test_all_bad_rows_are_one_report_or_left_out(train: Callable[..., Any], spoilt: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llamafactory.train.dpo.workflow.load_model", lambda *_: pytest.fail("loads a model"))
        with pytest.raises(BadSamplesError) as refused:
            train(dataset_dir=spoilt)
    said = str(refused.value)
    assert said.startswith("3 of 12 samples cannot be used")
    for row, part in ((3, "nowhere.h5"), (4, "half.h5"), (5, "equal answers")):
        assert any(f"preferences_train.csv:{row}: " in line and part in line for line in said.splitlines()), said
    history = train(dataset_dir=spoilt, on_bad_sample="skip", max_steps=2, eval_strategy='"no"', eval_dataset="null")
    assert sum("loss" in line for line in history) == 2


def test_validate_finds_them_without_training(
    spoilt: Path, keys: dict[str, Any], configs: Path, tmp_path: Path
) -> None:
    from pathplugins.llamafactory.validation import validate

    words = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in keys.items()]
    words += ["use_cpu=true", f"output_dir={tmp_path / 'out'}", f"dataset_dir={spoilt}"]
    said = {finding.about: finding.said for finding in validate(configs / SHIPPED, words)}
    assert said["samples"].startswith("3 of 12 samples cannot be used")
    assert not any(text for about, text in said.items() if about != "samples"), said
