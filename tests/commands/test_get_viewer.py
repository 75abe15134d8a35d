"""``pathplugins get-viewer`` puts the checked viewer beside the page, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.cli import main


def test_a_file_that_is_not_the_viewer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "openseadragon-6.1.1.tgz").write_bytes(b"no archive")
    assert main(["get-viewer", "--from", str(tmp_path / "openseadragon-6.1.1.tgz")]) == 2
    said = capsys.readouterr().err
    assert "its SHA-512 is" in said
    assert "nothing was installed" in said
    assert len(said.splitlines()) == 1
