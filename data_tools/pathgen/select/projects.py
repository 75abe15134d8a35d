"""Projects: which cancer a slide is of, from its TCGA barcode or from a table."""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.pathgen import slide_key

from ...slides.mpp_table import SLIDE_COLUMNS

PROJECTS = {
    "TCGA-ACC": "adrenal gland",
    "TCGA-BLCA": "urinary bladder",
    "TCGA-BRCA": "breast",
    "TCGA-CESC": "cervix uteri",
    "TCGA-CHOL": "bile duct",
    "TCGA-COAD": "colon",
    "TCGA-DLBC": "lymph node",
    "TCGA-ESCA": "oesophagus",
    "TCGA-GBM": "brain",
    "TCGA-HNSC": "head and neck",
    "TCGA-KICH": "kidney",
    "TCGA-KIRC": "kidney",
    "TCGA-KIRP": "kidney",
    "TCGA-LAML": "bone marrow",
    "TCGA-LGG": "brain",
    "TCGA-LIHC": "liver",
    "TCGA-LUAD": "lung",
    "TCGA-LUSC": "lung",
    "TCGA-MESO": "pleura",
    "TCGA-OV": "ovary",
    "TCGA-PAAD": "pancreas",
    "TCGA-PCPG": "adrenal gland or paraganglia",
    "TCGA-PRAD": "prostate",
    "TCGA-READ": "rectum",
    "TCGA-SARC": "soft tissue",
    "TCGA-SKCM": "skin",
    "TCGA-STAD": "stomach",
    "TCGA-TGCT": "testis",
    "TCGA-THCA": "thyroid",
    "TCGA-THYM": "thymus",
    "TCGA-UCEC": "uterus",
    "TCGA-UCS": "uterus",
    "TCGA-UVM": "eye",
}  #: of TCGA, and their organ
BARCODE = re.compile(r"TCGA-([0-9A-Z]{2})-", re.IGNORECASE)
SHOWN = 20  #: slides and rows listed one by one


def packaged(name: str) -> str:
    """A text that comes with this package."""
    return (Path(__file__).parents[2] / "prompts" / name).read_text(encoding="utf-8")


def project_of(slide_id: str) -> str | None:
    """The project of a TCGA barcode, by its tissue source site; None for another name or an unknown site."""
    barcode = BARCODE.match(slide_id)
    return _sites().get(barcode[1].upper()) if barcode else None


def read_projects(path: Path) -> dict[str, str]:
    """Project of each slide, by `slide_key`, from a CSV file with a column of slides and one called ``project``.

    Raises:
        PathPluginsError: no such file or column; or all the rows that are wrong, together.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            rows.fieldnames = columns = [column.strip().lower() for column in rows.fieldnames or ()]
            slides = next((column for column in SLIDE_COLUMNS if column in columns), None)
            if slides is None or "project" not in columns:
                raise PathPluginsError(
                    f"--projects {path}: wanted a column project and one of {', '.join(SLIDE_COLUMNS)}; its first row "
                    f"says {', '.join(columns) or 'nothing'}"
                )
            content = [(rows.line_num, (r[slides] or "").strip(), (r["project"] or "").strip()) for r in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PathPluginsError(f"--projects {path}: cannot be read as a CSV file in UTF-8 ({error})") from error
    table, wrong = dict[str, str](), []
    for line, slide, project in content:
        key = slide_key(Path(slide).name)
        if not key or not project:
            wrong.append(f"line {line}: names no {'slide' if not key else 'project'}")
        elif table.setdefault(key, project) != project:
            wrong.append(f"line {line}: {slide} is {project} here and {table[key]} above")
    if wrong:
        raise PathPluginsError(
            f"--projects {path}: {len(wrong)} of {len(content)} rows cannot be used; correct them:\n  " + listed(wrong)
        )
    return table


def resolve_projects(
    slide_ids: Iterable[str], table: Mapping[str, str], everywhere: str | None, with_prompts: Iterable[str]
) -> dict[str, str]:
    """Project of each slide: that for all, else the table's, else the barcode's.

    Args:
        slide_ids: the slides.
        table: see `read_projects`.
        everywhere: for all slides.
        with_prompts: projects that there are prompts for.

    Raises:
        PathPluginsError: slides without a project or of one without prompts, all of them together.
    """
    found = {s: everywhere or table.get(slide_key(s)) or project_of(s) for s in slide_ids}
    known = {*with_prompts}
    unknown = [slide_id for slide_id, project in found.items() if project is None]
    without = [f"{slide_id}: {project}" for slide_id, project in found.items() if project and project not in known]
    if not unknown and not without:
        return {slide_id: project for slide_id, project in found.items() if project}
    parts = []
    if unknown:
        parts.append(
            f"the project of {len(unknown)} of {len(found)} slides is unknown, for want of a TCGA barcode with a known "
            f"site:\n  {listed(unknown)}\npass --project TCGA-BRCA (say) for all slides, or --projects FILE.csv with "
            "the columns slide and project"
        )
    if without:
        parts.append(
            f"{len(without)} of {len(found)} slides are of a project without prompts:\n  {listed(without)}\nthere are "
            f"prompts for {', '.join(sorted(known))}; correct the project, or add prompts with --prompts"
        )
    raise PathPluginsError("\n".join(parts))


@functools.cache
def _sites() -> dict[str, str]:
    """Project by tissue source site."""
    text = packaged("tissue_source_sites.txt")
    lines = [line.partition(": ") for line in text.splitlines() if line and not line.startswith("#")]
    return {site: project for project, _, sites in lines for site in sites.split()}


def listed(what: list[str]) -> str:
    """The first of many, a line each."""
    rest = [f"and {len(what) - SHOWN} more"] if len(what) > SHOWN else []
    return "\n  ".join(what[:SHOWN] + rest)
