"""Prompts and reports: what a slide is compared with, and what is said of files that cannot be used."""

import json
from pathlib import Path

import pytest

pytest.importorskip("yaml")

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pathgen.select.projects import PROJECTS
from pathplugins.data_tools.pathgen.select.prompts import builtin_prompts, read_prompts, read_reports


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_all_projects_of_tcga_have_prompts() -> None:
    prompts = read_prompts(None)
    assert len(PROJECTS) == 33
    assert {*prompts} == {*PROJECTS}
    assert {"TCGA-GBM", "TCGA-BRCA"} <= {*prompts}
    assert all(len(sentences) == 20 for sentences in prompts.values())
    sentences = [sentence for found in prompts.values() for sentence in found]
    assert all(sentence.endswith(".") and 10 < len(sentence) < 130 for sentence in sentences)


def test_printed_prompts_can_be_given_back(tmp_path: Path) -> None:
    assert read_prompts(written(tmp_path / "p.yaml", builtin_prompts())) == read_prompts(None)


def test_any_number_of_sentences(tmp_path: Path) -> None:
    path = written(
        tmp_path / "p.yaml", "TCGA-BRCA: [one]\nTCGA-GBM:\n" + "".join(f"  - {n} cells\n" for n in range(41))
    )
    found = read_prompts(path)
    assert found["TCGA-BRCA"] == ("one",)
    assert len(found["TCGA-GBM"]) == 41


def test_all_faults_of_a_prompt_file_come_together(tmp_path: Path) -> None:
    path = written(
        tmp_path / "p.yaml",
        "TCGA_BRCA: [a, b]\nTCGA-GBN: [a]\nTCGA-OV: []\nTCGA-LGG: [a, ' ', 3]\nTCGA-ACC: [a, a]\nmine: [a]\n",
    )
    with pytest.raises(PathPluginsError) as caught:
        read_prompts(path)
    text = str(caught.value)
    assert "6 faults to correct" in text
    assert "TCGA_BRCA: neither a project of TCGA nor named by --project or --projects; did you mean TCGA-BRCA?" in text
    assert "TCGA-GBN" in text
    assert "did you mean TCGA-GBM?" in text
    assert "TCGA-OV: wanted a list of sentences" in text
    assert "TCGA-LGG: sentences 2, 3 are empty or not text" in text
    assert "TCGA-ACC: holds a sentence twice" in text
    assert read_prompts(written(path, "mine: [a]"), frozenset(["mine"])) == {"mine": ("a",)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("TCGA-OV: [a]\nTCGA-OV: [b]\n", "TCGA-OV twice"),
        ("TCGA-OV: [a\n", "not readable as YAML"),
        ("- a\n", "got list"),
        ("", "got NoneType"),
        ("TCGA-OV: [!!python/object/apply:os.system [ls]]\n", "not readable as YAML"),
    ],
)
def test_files_that_are_no_prompts(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(PathPluginsError, match=says):
        read_prompts(written(tmp_path / "p.yaml", text))
    with pytest.raises(PathPluginsError, match="not readable"):
        read_prompts(tmp_path / "absent.yaml")


def test_reports_are_found_however_the_slide_is_spelt(tmp_path: Path) -> None:
    reports = {
        "/data/slides/TCGA-AB-1234-01Z-00-DX1.AbC-9.svs": {"refined": {"diagnosis": "a carcinoma", "margins": " "}},
        "other.slide": ["one", "two", ""],
        "c:\\scans\\third.TIF": {"diagnosis": "plain", "more": ["x", {"y": "z"}]},
        "empty": [],
    }
    found = read_reports(written(tmp_path / "r.json", json.dumps(reports)))
    assert found == {
        "tcga-ab-1234-01z-00-dx1.abc-9": ("a carcinoma",),
        "other.slide": ("one", "two"),
        "third": ("plain", "x", "z"),
    }


def test_reports_that_cannot_be_used_come_together(tmp_path: Path) -> None:
    path = written(tmp_path / "r.json", json.dumps({"a": 3, "b": {"refined": {"x": None}}, "c.svs": ["x"], "C": ["y"]}))
    with pytest.raises(PathPluginsError) as caught:
        read_reports(path)
    assert "3 of 4 entries" in str(caught.value)
    assert "C: names the same slide as c.svs" in str(caught.value)
    with pytest.raises(PathPluginsError, match="got list"):
        read_reports(written(path, "[]"))
    with pytest.raises(PathPluginsError, match="not readable as JSON"):
        read_reports(written(path, "{"))
