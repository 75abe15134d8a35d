"""Which data sets a config names, and in which words its model is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.xtuner.configs import check_agreement, dataset_configs, read_config, words_of

pytestmark = pytest.mark.host

IMAGES = {"model": {"llm": "a"}, "prompt_template": "llama3_chat", "system": "Look."}


def config(*parts: dict[str, Any], hook: dict[str, Any] | None = None) -> Any:
    from mmengine.config import ConfigDict

    dataset = {"type": "ConcatDataset", "datasets": list(parts)} if len(parts) != 1 else parts[0]
    hooks = [{"type": "other.Hook"}, {"type": "pathplugins.xtuner.hooks.PathologyChatHook", **(hook or {})}]
    return ConfigDict(train_dataloader={"dataset": dataset}, custom_hooks=hooks)


def test_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="does not exist; give an XTuner config"):
        read_config(tmp_path / "none.py")


def test_concatenations_are_taken_apart_however_deep() -> None:
    inner = {"datasets": [{"data_path": "b"}, {"data_path": "c"}]}
    assert [part["data_path"] for part in dataset_configs(config({"data_path": "a"}, inner))] == ["a", "b", "c"]
    assert dataset_configs(config(IMAGES)) == [IMAGES]


def test_a_list_is_answered_with_what_to_write() -> None:
    from mmengine.config import ConfigDict

    with pytest.raises(PathPluginsError, match=r"is a list of 2; write .*dict\(type=PathologyDatasets, datasets=\["):
        dataset_configs(ConfigDict(train_dataloader={"dataset": [IMAGES, IMAGES]}))


def test_words_are_those_of_the_data_sets() -> None:
    silent = {"model": {"llm": "a"}, "offline_processed_text_folder": "folder"}
    for parts in ([IMAGES], [IMAGES, IMAGES], [silent, IMAGES], [IMAGES, {**IMAGES, "system": ""}]):
        assert words_of(config(*parts)) == IMAGES
    assert words_of(config(silent, silent)) == {"model": {"llm": "a"}, "prompt_template": None, "system": None}


@pytest.mark.parametrize(("name", "value"), [("prompt_template", "vicuna"), ("system", "Answer.")])
def test_where_the_words_differ_the_hook_names_them(name: str, value: str) -> None:
    parts = IMAGES, {**IMAGES, name: value}
    with pytest.raises(PathPluginsError, match=re.escape(f"custom_hooks[0].update({name}=...)")):
        words_of(config(*parts))
    assert words_of(config(*parts, hook={name: value})) == {**IMAGES, name: value}


@pytest.fixture
def agreeing(tmp_path: Path) -> Any:
    """A config of a model directory, and another directory beside it."""
    from mmengine.config import ConfigDict

    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    model = str(tmp_path / "a")
    loader = {
        "batch_size": 4,
        "dataset": {"model": model},
        "sampler": {"shuffle": True},
        "collate_fn": {"model": model},
    }
    return ConfigDict(train_dataloader=loader, model={"llm": {"model": model}})


def test_models_named_twice_must_be_the_same(agreeing: Any) -> None:
    check_agreement(agreeing)
    agreeing.train_dataloader.collate_fn.model = agreeing.model.llm.model[:-1] + "b"
    with pytest.raises(
        PathPluginsError, match=r"different models: .*collate_fn is .*/b; .*; write model=parts in each"
    ):
        check_agreement(agreeing)


@pytest.mark.parametrize("name", ["batch_size", "per_device_batch_size"])
def test_a_sampler_groups_batches_of_the_loader(agreeing: Any, name: str) -> None:
    agreeing.train_dataloader.sampler[name] = 4
    check_agreement(agreeing)
    agreeing.train_dataloader.sampler[name] = 2
    said = f"batch_size is 4 and its sampler groups 2; write train_dataloader.sampler.{name}=4"
    with pytest.raises(PathPluginsError, match=re.escape(said)):
        check_agreement(agreeing)


def test_models_must_be_the_same() -> None:
    with pytest.raises(PathPluginsError, match="the 2 data sets name different models; write model=parts in each"):
        words_of(config(IMAGES, {**IMAGES, "model": {"llm": "b"}}))
