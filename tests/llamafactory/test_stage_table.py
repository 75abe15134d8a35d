"""Each key of ours is obeyed or refused in each stage, by one table."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.llamafactory.keys import KEYS, PathPluginsArguments
from pathplugins.llamafactory.stage_table import STAGES, TABLE, check_stage, refusals

USUAL = {item.name: item.default for item in fields(PathPluginsArguments)}
OTHER = {"on_bad_sample": "skip", "check_features": False, "lr_mult": {"multi_modal_projector": 0.5}}
"""A value that asks for something, where ``True`` is none of the key."""


@pytest.mark.host
def test_the_stages_are_those_of_the_trainer() -> None:
    from llamafactory.hparams import FinetuningArguments

    known = next(item.type for item in fields(FinetuningArguments) if item.name == "stage")
    assert {*get_args(eval(known) if isinstance(known, str) else known)} == {*STAGES}


@pytest.mark.host
def test_what_the_model_obeys_ends_in_a_model_directory() -> None:
    from pathplugins.llamafactory.model_directory import PARTS

    elsewhere = {"mm_vision_select_layer", "pretrain_mm_mlp_adapter", "keep_gamma", "projector_seed"}
    assert {key for key, row in TABLE.items() if row.by == TABLE["patches_per_wsi"].by} == {*PARTS} | elsewhere


def test_every_key_has_a_row_and_no_other() -> None:
    assert [*TABLE] == [*KEYS]
    assert all(row.refused.keys() <= STAGES.keys() for row in TABLE.values())


@pytest.mark.parametrize("stage", STAGES)
def test_keys_at_rest_ask_for_nothing(stage: str) -> None:
    said = refusals(stage, USUAL)
    assert len(said) == (1 if STAGES[stage].refused else 0), said


CELLS = [(stage, key) for stage in STAGES for key in KEYS if not STAGES[stage].refused]


def test_cells_were_found() -> None:
    assert len(CELLS) >= 4 * 40


@pytest.mark.parametrize(("stage", "key"), CELLS)
def test_a_key_is_obeyed_or_refused_by_name(stage: str, key: str) -> None:
    values: dict[str, Any] = {**USUAL, key: OTHER.get(key, True)}
    if stage not in TABLE[key].refused:
        check_stage(stage, values)
        return
    with pytest.raises(PathPluginsError, match=rf"^{key} has no effect in stage: {stage}: .*(set|remove) "):
        check_stage(stage, values)


@pytest.mark.host
@pytest.mark.parametrize("stage", [name for name, stage in STAGES.items() if stage.refused])
def test_stages_that_leave_images_out_are_refused_before_loading(
    refused: Any, toy: Any, quick: dict[str, Any], tmp_path: Path, stage: str
) -> None:
    keys = {"dataset": "few_vqa", "output_dir": tmp_path / "out", "stage": stage, "load_best_model_at_end": False}
    keys |= {"eval_dataset": "null", "eval_strategy": '"no"', "reward_model": tmp_path, "finetuning_type": "lora"}
    said = refused("wsi_llava_stage2.yaml", {**quick, **keys})
    assert said.startswith(f"stage: {stage} cannot train this model: ")
