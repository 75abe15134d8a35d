"""A recipe's file and the words after it become our options and those of the Trainer."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.classify.settings import read_settings
from pathplugins.core.errors import PathPluginsError

TEXT = """
recipe: finetune
data: datasets/PCam200
encoder: resnet50
random_weights: 0
output_dir: runs/x
learning_rate: 1e-4
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "r.yaml"
    path.write_text(TEXT)
    return path


def test_keys_are_sorted_and_numbers_read(config: Path) -> None:
    settings = read_settings(config, ["learning_rate=3e-5", "dropout=0", "max_steps=7", "data=a b"])
    assert (settings.options.recipe, settings.options.data, settings.options.dropout) == ("finetune", "a b", 0)
    assert settings.training["learning_rate"] == 3e-5
    assert (settings.training["max_steps"], settings.training["output_dir"]) == (7, "runs/x")
    assert settings.training["report_to"] == "tensorboard"
    assert settings.training["remove_unused_columns"] is False


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (["learning_rte=1"], ["unknown option 'learning_rte'. Did you mean 'learning_rate'?"]),
        (["droput=1", "qqqq=1"], ["unknown option 'droput'. Did you mean 'dropout'?", "unknown option 'qqqq'; remove"]),
        (["resume_from_checkpoint=x"], ["resume_from_checkpoint: the same command resumes by itself"]),
        (["data=", "output_dir="], ["data is missing", "output_dir is missing"]),
        (["learning_rate"], ["wanted key=value, such as learning_rate=1e-4"]),
        (
            ["learning_rate=abc", "per_device_train_batch_size=0", "num_train_epochs=-1", "logging_steps=true"],
            [
                *("learning_rate is 'abc', wanted a number above 0", "per_device_train_batch_size is 0, wanted"),
                *("num_train_epochs is -1, wanted", "logging_steps is True, wanted"),
            ],
        ),
        (["fold=a"], ["fold: got the text 'a', wanted a whole number"]),
    ],
)
def test_wrong_keys_are_named_with_the_next_step(config: Path, words: list[str], messages: list[str]) -> None:
    with pytest.raises(PathPluginsError) as caught:
        read_settings(config, words)
    assert [message for message in messages if message not in str(caught.value)] == []


def test_files_that_hold_no_options(tmp_path: Path, config: Path) -> None:
    with pytest.raises(PathPluginsError, match=r"did you mean .*r\.yaml\?"):
        read_settings(tmp_path / "rr.yaml")
    config.write_text("a: [1")
    with pytest.raises(PathPluginsError, match="not YAML"):
        read_settings(config)
    config.write_bytes(b"recipe: \xff\xfe")
    with pytest.raises(PathPluginsError, match="not YAML"):
        read_settings(config)
    config.write_text("recipe: " + "[" * 3000)
    with pytest.raises(PathPluginsError, match="too deep"):
        read_settings(config)
    config.write_text("recipe: byol")
    with pytest.raises(PathPluginsError, match="no YAML"):
        read_settings(config, ["recipe=[a"])
    config.write_text("- a")
    with pytest.raises(PathPluginsError, match="holds no options"):
        read_settings(config)
