"""PubMedVision: list-valued images, no placeholders (feature A2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.pubmedvision import read_pubmedvision


def sample(number: int, images: list[str], question: str = "What?", **more: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": "Cells."}]
    return {"image": images, "conversations": turns, "id": f"Alignment_VQA_{number}", **more}


def write(tmp_path: Path, *samples: dict[str, Any]) -> Path:
    path = tmp_path / "PubMedVision_Alignment_VQA.json"
    path.write_text(json.dumps(samples))
    return path


def test_a2_one_placeholder_per_image_in_front(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        sample(0, ["images/pmc_1_0.jpg"], body_part="Lung", modality="Microscopy Images"),
        sample(1, ["images/pmc_2_0.jpg", "images/pmc_2_1.jpg"]),
        sample(2, ["images/pmc_3_0.jpg"], "Where is <image> from?"),
        sample(3, []),
    )
    records, bad = read_pubmedvision(path)
    assert not bad
    assert [record.conversations[0].text for record in records] == [
        *("<image>\nWhat?", "<image>\n<image>\nWhat?", "Where is <image> from?", "What?")
    ]
    assert records[1].images == tuple(str(tmp_path / f"images/pmc_2_{n}.jpg") for n in range(2))
    assert records[0].meta == {"body_part": "Lung", "modality": "Microscopy Images"}


def test_a2_modality(tmp_path: Path) -> None:
    kinds = ("Microscopy Images", "CT", "microscopy images ", "CT")
    path = write(tmp_path, *(sample(n, ["a.jpg"], modality=kind) for n, kind in enumerate(kinds)))
    assert [r.row for r in read_pubmedvision(path, modality="microscopy images")[0]] == [1, 3]
    with pytest.raises(PathPluginsError, match=r"no row has modality 'MRI'; found CT \(2\), Microscopy Images \(1\)"):
        read_pubmedvision(path, modality="MRI")


def test_a2_bad_rows(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        sample(0, ["a.jpg", "b.jpg"], "Only <image>?"),
        {"image": ["a.jpg"], "conversations": [{"from": "gpt", "value": "x"}]},
        {"image": ["a.jpg"], "id": "x"},
    )
    records, bad = read_pubmedvision(path)
    assert not records
    assert [(entry.row, entry.reason) for entry in bad] == [
        *((1, "placeholder count"), (2, "turn order"), (3, "no conversation"))
    ]
