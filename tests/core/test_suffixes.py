"""Names of slide files: which spellings mean one slide."""

from __future__ import annotations

import pytest

from pathplugins.core.suffixes import SLIDE_SUFFIXES, slide_key


@pytest.mark.parametrize("suffix", SLIDE_SUFFIXES)
def test_case_and_suffix_do_not_matter(suffix: str) -> None:
    assert suffix == suffix.lower()
    assert slide_key(f"TCGA-AA-1.BF88{suffix.upper()}") == slide_key("tcga-aa-1.bf88") == "tcga-aa-1.bf88"


def test_other_dots_belong_to_the_name() -> None:
    assert slide_key("TCGA-AA-1.8736FB24") == "tcga-aa-1.8736fb24"
    assert slide_key("a.svs.svs") == "a.svs"
    assert slide_key("a.partial") == "a.partial"
