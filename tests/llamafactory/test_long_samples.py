"""Samples beyond the positions of the language model are counted before training."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

pytestmark = pytest.mark.host


def test_samples_beyond_the_positions_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    datasets = pytest.importorskip("datasets")
    from pathplugins.llamafactory.long_samples import warn_of_positions

    config = {"model_type": "custom_llava", "text_config": {"max_position_embeddings": 7}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    columns = {"chosen_input_ids": [[1] * 5, [1] * 9, [1] * 2], "rejected_input_ids": [[1] * 8, [1] * 3, [1] * 7]}
    with caplog.at_level(logging.WARNING):
        warn_of_positions({"train": datasets.Dataset.from_dict(columns)}, str(tmp_path), ("chosen_", "rejected_"))
    assert "train: 2 of 3 samples are longer than the 7 positions of the language model, the longest 9" in caplog.text
    caplog.clear()
    short = {"input_ids": [[1] * 7]}
    with caplog.at_level(logging.WARNING):
        warn_of_positions({"train": datasets.Dataset.from_dict(short)}, str(tmp_path), ("",))
    assert not caplog.records
