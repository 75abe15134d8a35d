"""PCam200 as questions: tumour or not (T5)."""

from __future__ import annotations

from pathlib import Path

import patch_folders as drawn
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.pcam200 import read_pcam200


def test_yes_no_and_openly(tmp_path: Path) -> None:
    records, bad = read_pcam200(drawn.write_pcam200(tmp_path / "x", cases=1, patches=2))
    assert not bad
    assert len(records) == 2 * 2 * 2 * 3
    for record in records:
        part, label, case, _ = record.id.split("/")
        tumour = label == "tumor"
        wanted = {"closed": "A) yes" if tumour else "B) no", "open": "tumour" if tumour else "normal tissue"}
        assert record.conversations[1].text == wanted[record.id.rpartition(":")[2]]
        assert record.meta == {"class": label, "slide": case, "part": {"val": "valid"}.get(part, part)}


def test_parts(tmp_path: Path) -> None:
    root = drawn.write_pcam200(tmp_path / "x", cases=1, patches=1)
    assert {r.meta["part"] for r in read_pcam200(root, split="val")[0]} == {"valid"}
    assert {r.meta["part"] for r in read_pcam200(root / "test", split="train")[0]} == {"test"}
    with pytest.raises(PathPluginsError, match="split is 'dev'"):
        read_pcam200(root, split="dev")
