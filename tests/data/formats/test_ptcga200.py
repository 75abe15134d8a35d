"""PTCGA200 as questions: organs with choices and openly (T1, T8)."""

from __future__ import annotations

from pathlib import Path

import patch_folders as drawn
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.ptcga200 import read_ptcga200
from pathplugins.data.prompts import ORGAN_QUESTIONS
from pathplugins.published.patchtcga import ORGAN_OF, ORGANS


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn.write_ptcga200(tmp_path_factory.mktemp("sets") / "x", sorted(ORGAN_OF), slides=1, patches=2)


def test_two_questions_of_each_patch(root: Path) -> None:
    records, bad = read_ptcga200(root)
    assert not bad
    assert len(records) == 2 * 2 * 24
    for record in records:
        folder = record.id.partition("/")[0]
        organ = ORGANS[ORGAN_OF[folder]]
        question, answer = (turn.text for turn in record.conversations)
        lines = question.splitlines()
        assert lines[0] == "<image>"
        assert lines[1] in ORGAN_QUESTIONS
        if record.id.endswith(":closed"):
            assert answer.endswith(f") {organ}")
            assert answer in lines[4:]
            assert len({line[3:] for line in lines[4:]}) == 4
            assert {line[3:] for line in lines[4:]} <= {*ORGANS}
        else:
            assert (answer, len(lines)) == (organ, 2)
        assert record.meta == {"class": organ, "slide": f"TCGA-{sorted(ORGAN_OF).index(folder):02}-0000-01Z-00-DX1"}
        assert Path(record.images[0]).is_file()


def test_wording_and_choices_are_of_the_patch_and_the_seed(root: Path) -> None:
    first, again, other = (read_ptcga200(root, seed=seed)[0] for seed in (0, 0, 1))
    assert first == again
    assert [r.conversations for r in first] != [r.conversations for r in other]
    closed = [r.conversations[1].text[0] for r in first if r.id.endswith(":closed")]
    assert {*closed} == {*"ABCD"}  # the right choice stands anywhere
    assert len({r.conversations[0].text for r in first if r.id.endswith(":open")}) == len(ORGAN_QUESTIONS)


def test_one_style_and_faults(root: Path, tmp_path: Path) -> None:
    assert {record.id.rpartition(":")[2] for record in read_ptcga200(root, questions="open")[0]} == {"open"}
    with pytest.raises(PathPluginsError, match="questions is 'yes', expected closed, open or both"):
        read_ptcga200(root, questions="yes")
    drawn.write_ptcga200(tmp_path, ("brain",), slides=1, patches=1)
    (tmp_path / "brian").mkdir()
    records, bad = read_ptcga200(tmp_path)
    assert (len(records), [sample.reason for sample in bad]) == (2, ["unknown folder"])
