"""Loss of held-out samples with and without vision, in the runs of the smoke config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import ConfigDict

from pathplugins.core.errors import PathPluginsError
from pathplugins.xtuner.evaluation import EvaluationHook, held_out

pytestmark = pytest.mark.host


def test_a_model_that_looks_does_worse_without_vision(tune: Any) -> None:
    evaluated = tune.evaluated()
    assert [*evaluated] == [24, 48]
    last = evaluated[48]
    assert last["eval_loss"] < 0.6 * last["eval_sanity_check_loss"]
    said = f"eval_loss {last['eval_loss']:.4f}, eval_sanity_check_loss {last['eval_sanity_check_loss']:.4f}"
    assert f"Evaluation of 24 samples after iteration 48: {said}" in tune.log


def test_deepspeed_evaluates_too(tune: Any, zero2: Any) -> None:
    [shared], alone = zero2.evaluated().values(), tune.evaluated()[24]  # after 12 steps
    assert shared["step"] == 12
    for name in ("eval_loss", "eval_sanity_check_loss"):
        assert shared[name] == pytest.approx(alone[name], rel=0.15)  # in bfloat16


def test_nothing_is_evaluated_without_data(align: Any) -> None:
    assert align.evaluated() == {}
    assert "Evaluation of" not in align.log


def test_samples_are_read_in_the_words_of_the_training_data() -> None:
    trained = {"type": "PathologyDataset", "model": "m", "data_path": "train.csv", "image_folder": "bags"}
    trained |= {"format": "wsi_csv", "format_options": {"mode": "vqa"}, "max_dataset_length": 3}
    cfg = ConfigDict(train_dataloader={"dataset": trained})
    made = held_out(cfg, {"data_path": "val.csv", "format_options": {"split": "val"}})
    assert made == {
        **{key: value for key, value in trained.items() if key != "max_dataset_length"},
        "data_path": "val.csv",
        "format_options": {"mode": "vqa", "split": "val"},
    }
    assert held_out(cfg, {"data_path": "val.csv", "image_folder": "other"})["image_folder"] == "other"


def test_options_that_cannot_be_obeyed_are_refused() -> None:
    with pytest.raises(PathPluginsError, match="EvaluationHook: batch_size is 0, wanted 1 or more"):
        EvaluationHook("val.csv", batch_size=0)
    with pytest.raises(PathPluginsError, match=r"EvaluationHook: unknown option 'do_sanity_chek'\. Did you mean"):
        EvaluationHook("val.csv", do_sanity_chek=True)


def test_held_out_samples_are_validated(folder: Path, align: Any, command: Callable[..., str]) -> None:
    del align
    (folder / "held_out_smoke.py").write_text(
        "from mmengine.config import read_base\nwith read_base():\n    from .pallava_smoke_align import *\n"
        'custom_hooks[2].update(data_path="pallava_smoke_images")\n'
    )
    assert "held-out samples" in command("pathplugins", "validate", "held_out_smoke.py")
