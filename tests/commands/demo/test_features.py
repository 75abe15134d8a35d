"""The demo of features: its bags are TRIDENT's, and every setting is one that the trainer knows."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from pathplugins.commands.demo import features
from pathplugins.data.bags import BagContract, check_bag, read_bag


def test_bags_are_read_as_tridents_and_differ_by_diagnosis(tmp_path: Path) -> None:
    features._draw(tmp_path, tmp_path / "bags")
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(features.DIAGNOSES) * features.PATIENTS
    means: dict[str, list[np.ndarray]] = {}
    for row in rows:
        path = tmp_path / "bags" / f"{row['slide_id']}.h5"
        info = check_bag(path, BagContract(feature_dim=features.WIDTH, expects_encoder="uni"))
        assert (info.convention, info.encoder, info.slide_id) == ("trident", "uni_v1", row["slide_id"])
        means.setdefault(row["diagnosis"], []).append(read_bag(path).features.mean(0))
    centres = np.stack([np.mean(each[::2], axis=0) for each in means.values()])
    for label, each in enumerate(means.values()):
        nearest = [int(((centres - mean) ** 2).sum(1).argmin()) for mean in each[1::2]]
        assert nearest == [label] * len(nearest)


@pytest.mark.host
def test_every_setting_is_a_key_of_ours_or_of_the_trainer(tmp_path: Path) -> None:
    hparams = pytest.importorskip("llamafactory.hparams")
    from pathplugins.llamafactory.arguments import PathModelArguments

    known = {item.name for item in fields(PathModelArguments)}
    for name in ("DataArguments", "FinetuningArguments", "TrainingArguments", "GeneratingArguments"):
        known |= {item.name for item in fields(getattr(hparams, name))}
    assert [key for key in features._settings(tmp_path) if key not in known] == []
