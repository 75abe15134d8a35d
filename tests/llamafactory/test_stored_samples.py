"""``tokenized_path``: an image lost since is named before the first step, as without it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pathplugins.core.errors import BadSamplesError, PathPluginsError

pytestmark = pytest.mark.host


@pytest.fixture
def check(
    toy: Any, arguments: Callable[..., Any], typed: dict[str, Any], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Store samples, then load them as LLaMA-Factory does, and look at their images."""
    from datasets import Dataset, DatasetDict

    from pathplugins.llamafactory.stored_samples import stored_path, with_images_checked

    def check(policy: str, columns: dict[str, Any] | None = None, **parts: list[str]) -> dict[str, Any]:
        bags = toy.data / "bags"
        rows = {
            name: Dataset.from_dict(
                {"input_ids": [[n] for n in range(len(names))], "images": [[str(bags / f"{b}.h5")] for b in names]}
                | (columns or {})
            )
            for name, names in parts.items()
        }
        folder = tmp_path / "tokens"
        DatasetDict(rows).save_to_disk(folder)
        data_args = SimpleNamespace(
            tokenized_path=str(folder), preprocessing_num_workers=1, data_shared_file_system=False
        )
        assert stored_path(data_args) == folder
        training = SimpleNamespace(output_dir=str(tmp_path / "out"), should_log=True, should_save=True)
        training.main_process_first = lambda **_: contextlib.nullcontext()
        named = {name.removeprefix("validation_"): part for name, part in rows.items() if name != "train"}
        found = {"train_dataset": rows["train"], "eval_dataset": named.get("validation", named or None)}
        model_args = arguments(**typed, on_bad_sample=policy)
        return with_images_checked(found, folder, model_args, data_args, training)

    return check


def test_a_lost_image_is_reported_with_its_part_and_row(check: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(BadSamplesError) as error:
        check("error", train=["few0", "lost", "few1"], validation=["gone"])
    text = str(error.value)
    assert text.startswith("2 of 4 samples cannot be used: 2 x missing file")
    assert "tokens/train:1: missing file" in text
    assert "tokens/validation:0: missing file" in text
    assert text.endswith("or set on_bad_sample: skip to train without them.")
    assert len((tmp_path / "out" / "bad_samples.jsonl").read_text().splitlines()) == 2


def test_samples_with_lost_images_are_left_out(check: Callable[..., Any]) -> None:
    found = check("skip", train=["few0", "lost", "few1"], validation_a=["few2"], validation_b=["gone", "few3"])
    assert found["train_dataset"]["input_ids"] == [[0], [2]]
    assert {name: part["input_ids"] for name, part in found["eval_dataset"].items()} == {"a": [[0]], "b": [[1]]}


def test_all_there(check: Callable[..., Any]) -> None:
    assert len(check("error", train=["few0", "few1"])["train_dataset"]) == 2


def test_rows_packed_by_llamafactory_itself_are_refused(check: Callable[..., Any]) -> None:
    with pytest.raises(PathPluginsError, match=r"tokens \(train\) was packed by LLaMA-Factory itself; delete it"):
        check("error", {"packing_params": [{"sequence_boundaries": [0, 1]}]}, train=["few0"])


def test_a_folder_that_is_still_to_be_made(tmp_path: Path) -> None:
    from pathplugins.llamafactory.stored_samples import stored_path

    assert stored_path(SimpleNamespace(tokenized_path=None)) is None
    assert stored_path(SimpleNamespace(tokenized_path=str(tmp_path))) is None
