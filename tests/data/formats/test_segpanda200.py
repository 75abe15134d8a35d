"""SegPANDA200 as questions: which tissues a mask has, and cancer (T6)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import patch_folders as drawn
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.segpanda200 import read_segpanda200

PICTURE = np.zeros((10, 20, 3), np.uint8)


def save(root: Path, name: str, **pixels: int) -> None:
    """Write a patch whose mask of 200 pixels has so many of each value (``c3=4``); stroma elsewhere."""
    mask = np.ones(200, np.uint8)
    at = 0
    for value, count in pixels.items():
        mask[at : at + count] = int(value[1:])
        at += count
    drawn.save(root / f"train/g/c/{name}.png", PICTURE)
    drawn.save(root / f"train/g/c/{name}_mask.png", np.stack([mask.reshape(10, 20)] * 3, axis=-1))


def told(root: Path, **options: object) -> dict[str, str]:
    records, bad = read_segpanda200(root, **options)  # type: ignore[arg-type]
    assert not bad
    return {record.id.rpartition("/")[2]: record.conversations[1].text for record in records}


def test_answers_come_from_the_mask(tmp_path: Path) -> None:
    save(tmp_path, "benign", c2=30)
    save(tmp_path, "cancer", c3=10, c5=60)
    save(tmp_path, "little", c4=9)
    save(tmp_path, "both", c3=5, c4=5)
    save(tmp_path, "empty", c0=200)
    assert told(tmp_path) == {
        "benign:closed": "B) no",
        "benign:open": "stroma, benign epithelium",
        "cancer:closed": "A) yes",
        "cancer:open": "stroma, Gleason 3, Gleason 5",
        "little:open": "stroma",  # some cancer, and less than 5 %: neither yes nor no
        "both:closed": "A) yes",
        "both:open": "stroma",
        "empty:closed": "B) no",
        "empty:open": "none of them",
    }
    assert told(tmp_path, min_share=0.04)["little:closed"] == "A) yes"
    text = read_segpanda200(tmp_path, min_share=0.025, questions="open")[0][0].conversations[0].text
    assert "2.5 %" in text
    assert "stroma, benign epithelium, Gleason 3, Gleason 4, Gleason 5" in text
    assert "background" not in text


def test_a_mask_that_cannot_be_read_is_a_bad_sample(tmp_path: Path) -> None:
    save(tmp_path, "a")
    save(tmp_path, "b", c6=3)
    records, bad = read_segpanda200(tmp_path)
    assert [record.id for record in records] == ["train/g/c/a:closed", "train/g/c/a:open"]
    assert [(sample.row, sample.reason) for sample in bad] == [(2, "unknown mask value")]
    with pytest.raises(PathPluginsError, match="min_share must be between 0 and 1, got 5"):
        read_segpanda200(tmp_path, min_share=5)
