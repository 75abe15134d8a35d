"""Projects of slides: by barcode, table or option, and what is said where there is none."""

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pathgen.select.projects import (
    PROJECTS,
    packaged,
    project_of,
    read_projects,
    resolve_projects,
)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_projects_of_barcodes() -> None:
    lines = [line for line in packaged("tissue_source_sites.txt").splitlines() if line.startswith("TCGA-")]
    sites = [site for line in lines for site in line.partition(": ")[2].split()]
    assert [line.partition(":")[0] for line in lines] == sorted(PROJECTS)
    assert len(sites) == len({*sites}) == 826
    assert all(len(site) == 2 for site in sites)
    assert project_of("TCGA-A1-A0SB-01Z-00-DX1.B34C267B-CAAA-4AB6-AD5C-276C26F997A1") == "TCGA-BRCA"
    assert project_of("tcga-02-0001-01z") == "TCGA-GBM"
    assert project_of("TCGA-NA-A4QV-01Z") == "TCGA-UCS"  # a code that tables of numbers lose
    assert project_of("TCGA-07-0001") is None  # a cell line
    assert project_of("slide-7") is None


def test_project_comes_from_the_option_then_the_table_then_the_barcode(tmp_path: Path) -> None:
    table = read_projects(
        written(
            tmp_path / "p.csv", "Filename, project\nx/TCGA-A1-1.svs, TCGA-OV\nmine.tif, TCGA-LGG\nmine.tif, TCGA-LGG\n"
        )
    )
    slides = ["TCGA-A1-1", "TCGA-A1-2", "MINE"]
    found = resolve_projects(slides, table, None, PROJECTS)
    assert found == {"TCGA-A1-1": "TCGA-OV", "TCGA-A1-2": "TCGA-BRCA", "MINE": "TCGA-LGG"}
    assert {*resolve_projects(slides, table, "TCGA-GBM", PROJECTS).values()} == {"TCGA-GBM"}


def test_slides_without_a_project_or_prompts_come_together() -> None:
    with pytest.raises(PathPluginsError) as caught:
        resolve_projects(["a", "b", "TCGA-02-1", "TCGA-A1-1"], {}, None, ["TCGA-BRCA"])
    text = str(caught.value)
    assert "the project of 2 of 4 slides is unknown" in text
    assert "\n  a\n  b\n" in text
    assert "--projects FILE.csv" in text
    assert "TCGA-02-1: TCGA-GBM" in text
    with pytest.raises(PathPluginsError, match="and 5 more"):
        resolve_projects([f"s{n}" for n in range(25)], {}, None, PROJECTS)


def test_tables_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    with pytest.raises(PathPluginsError, match="wanted a column project"):
        read_projects(written(path, "slide,cancer\na,b\n"))
    with pytest.raises(PathPluginsError) as caught:
        read_projects(written(path, "slide,project\n,TCGA-OV\na,\nb,TCGA-OV\nB.svs,TCGA-GBM\n"))
    assert "3 of 4 rows" in str(caught.value)
    assert "line 5: B.svs is TCGA-GBM here and TCGA-OV above" in str(caught.value)
    with pytest.raises(PathPluginsError, match="cannot be read"):
        read_projects(tmp_path / "absent.csv")
