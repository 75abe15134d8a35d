"""Describing a set reads some of its pictures, spread evenly, or all."""

from __future__ import annotations

from pathlib import Path

import patch_folders as drawn

from pathplugins.data_tools.patchtcga.describe import describe


def test_a_sample_is_spread_over_the_set(tmp_path: Path) -> None:
    root = drawn.write_ptcga200(tmp_path / "PTCGA200", ("brain", "colon", "rectum"), slides=2, patches=3)
    last = sorted((root / "rectum").iterdir())[-1]
    last.write_bytes(b"broken")
    told: list[tuple[int, int]] = []
    description = describe(root, None, pictures=4, tell=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(description.wrong) == 1
    assert last.name in description.wrong[0]
    assert description.facts["all"] == {"patches": 18, "brain": 6, "bowel": 12}
    assert description.facts["slides"] == 6
    assert "4 of 18 pictures were read; pass --thorough to read all" in description.notes
    assert describe(root, None, pictures=None).facts["sizes"] == "40 x 40 (17)"
    assert describe(root, None, pictures=0).wrong == []


def test_unknown_slides_are_noted(tmp_path: Path) -> None:
    root = drawn.write_patchcamelyon(tmp_path, count=2)
    assert (
        "the slides of 6 patches are unknown: their names hold no TCGA barcode"
        in describe(root, None, pictures=1).notes
    )
