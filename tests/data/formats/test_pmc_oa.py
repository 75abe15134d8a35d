"""Captions of PMC-OA (feature A2)."""

from __future__ import annotations

import json
from pathlib import Path

from pathplugins.data.formats.pmc_oa import read_pmc_oa


def test_a2_pmc_oa(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("PMC1_fig2\nPMC3_fig1.jpg\n")
    samples = [{"image": f"{name}.jpg", "caption": "a b c"} for name in ("PMC1_fig2", "PMC2", "PMC3_fig1")]
    path = tmp_path / "pmc_oa.jsonl"
    path.write_text("".join(f"{json.dumps(sample)}\n" for sample in samples))
    records, bad = read_pmc_oa(path, media_dir=tmp_path / "m", ids=tmp_path / "ids.txt", min_words=3, seed=2)
    assert not bad
    assert [(record.row, record.id) for record in records] == [(1, "PMC1_fig2"), (3, "PMC3_fig1")]
    assert records[0].images == (str(tmp_path / "m/PMC1_fig2.jpg"),)
