"""Clinical terms: found as whole words, the longest first, with what denies them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.scoring.terms import Terms, read_terms


def test_findings_and_denials() -> None:
    terms = Terms(["carcinoma", "ductal carcinoma", "necrosis", "gland", "mitoses", "invasion"])
    assert len(terms) == 6
    assert terms.findings("Invasive Ductal Carcinoma with glands; no evidence of necrosis, but mitoses.") == {
        *(("ductal carcinoma", True), ("gland", True), ("necrosis", False), ("mitose", True)),
    }
    assert terms.findings("Necrosis is absent. Invasion was not identified. Carcinomas.") == {
        *(("necrosis", False), ("invasion", False), ("carcinoma", True)),
    }
    assert terms.findings("Necrosis here and no necrosis there") == {("necrosis", True), ("necrosis", False)}
    assert terms.findings("Glandular tissue, adenocarcinoma") == set()


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "terms.txt"
    path.write_text("\ufeff# markers\nHER2  # or erbB2\n\nKi-67\n", encoding="utf-8")
    assert read_terms(path).findings("HER2 positive, ki-67 20 %; lobular") == {("her2", True), ("ki-67", True)}
    path.write_text("# nothing\n")
    with pytest.raises(PathPluginsError, match="holds no term; write one a line"):
        read_terms(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PathPluginsError, match="no UTF-8 text"):
        read_terms(path)
    with pytest.raises(PathPluginsError, match=r"--terms \S+: no such file; .*did you mean"):
        read_terms(tmp_path / "term.txt")


def test_the_shipped_list_is_read() -> None:
    terms = read_terms(None)
    assert len(terms) > 150
    assert terms.findings("Poorly differentiated squamous cell carcinoma with keratin pearls.") == {
        *(("poorly differentiated", True), ("squamous cell carcinoma", True), ("keratin pearl", True)),
    }
