"""``pathplugins validate``: what is given, and the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.cli import main
from pathplugins.core.findings import Finding, any_wrong, report


def test_what_is_no_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.yaml").touch()
    (tmp_path / "run.json").touch()
    for name, reason in {"ran.yaml": "no such file; .*did you mean .*run", "run.json": "give a .yaml of"}.items():
        assert main(["validate", str(tmp_path / name)]) == 2
        import re

        assert re.search(reason, capsys.readouterr().err, re.DOTALL)


def test_a_report_has_a_line_for_each_check() -> None:
    found = [Finding("keys"), Finding("samples", "2 of 3 samples\n  a:1")]
    assert any_wrong(found)
    assert report("run.yaml", found).splitlines() == [
        "run.yaml",
        "  ok     keys",
        "  wrong  samples: 2 of 3 samples",
        "           a:1",
        "1 of 2 checks found something wrong",
    ]
    assert report("run.yaml", found[:1]).endswith("nothing wrong was found")
