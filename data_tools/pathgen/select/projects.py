"""TCGA projects: which project a slide belongs to, from its barcode or from a table."""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.suffixes import slide_key
from pathplugins.data.records import first_shown

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
}  #: project of TCGA -> organ
BARCODE = re.compile(r"TCGA-([0-9A-Z]{2})-", re.IGNORECASE)


def packaged(name: str) -> str:
    """Read a file of the package's folder ``prompts``."""
    return (Path(__file__).parents[2] / "prompts" / name).read_text(encoding="utf-8")


def project_of(slide_id: str) -> str | None:
    """Return the project of a TCGA barcode, by its tissue source site; None for other names or unknown sites."""
    barcode = BARCODE.match(slide_id)
    return _sites().get(barcode[1].upper()) if barcode else None


def read_projects(path: Path) -> dict[str, str]:
    """Read the project of each slide, by `slide_key`, from a CSV file with a slide column and a ``project`` column.

    Raises:
        PathPluginsError: no such file or column; or rows that are wrong, all in one report.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            rows.fieldnames = columns = [column.strip().lower() for column in rows.fieldnames or ()]
            slides = next((column for column in SLIDE_COLUMNS if column in columns), None)
            if slides is None or "project" not in columns:
                raise PathPluginsError(
                    f"--projects {path}: wanted a column project and one of {', '.join(SLIDE_COLUMNS)}; its first row "
                    f"says {', '.join(columns) or 'nothing'}; correct the first row"
                )
            content = [(rows.line_num, (r[slides] or "").strip(), (r["project"] or "").strip()) for r in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PathPluginsError(
            f"--projects {path}: cannot be read as CSV ({error}); give a CSV file in UTF-8 with the columns slide and "
            "project"
        ) from error
    table, wrong = dict[str, str](), []
    for line, slide, project in content:
        key = slide_key(Path(slide).name)
        if not key or not project:
            wrong.append(f"line {line}: names no {'slide' if not key else 'project'}")
        elif table.setdefault(key, project) != project:
            wrong.append(f"line {line}: {slide} is {project} here and {table[key]} above")
    if wrong:
        raise PathPluginsError(
            f"--projects {path}: {len(wrong)} of {len(content)} rows cannot be used; correct them:\n"
            + first_shown(wrong)
        )
    return table


def resolve_projects(
    slide_ids: Iterable[str], table: Mapping[str, str], everywhere: str | None, with_prompts: Iterable[str]
) -> dict[str, str]:
    """Return the project of each slide: ``everywhere``, else the table's, else the barcode's.

    Args:
        slide_ids: the slides.
        table: see `read_projects`.
        everywhere: one project for all slides; None for none.
        with_prompts: projects that have prompts.

    Raises:
        PathPluginsError: slides without a project, or of a project without prompts, all in one report.
    """
    found = {s: everywhere or table.get(slide_key(s)) or project_of(s) for s in slide_ids}
    known = {*with_prompts}
    unknown = [slide_id for slide_id, project in found.items() if project is None]
    without = [f"{slide_id}: {project}" for slide_id, project in found.items() if project and project not in known]
    if not unknown and not without:
        return {slide_id: project for slide_id, project in found.items() if project}
    faults = []
    if unknown:
        faults.append(
            f"the project of {len(unknown)} of {len(found)} slides is unknown: their names are no TCGA barcode with a "
            f"known site:\n{first_shown(unknown)}\npass --project for all slides (e.g. TCGA-BRCA), "
            "or --projects FILE.csv with the columns slide and project"
        )
    if without:
        faults.append(
            f"{len(without)} of {len(found)} slides have a project without prompts:\n{first_shown(without)}\nthere are "
            f"prompts for {', '.join(sorted(known))}; correct the project, or add prompts with --prompts"
        )
    raise PathPluginsError("\n".join(faults))


@functools.cache
def _sites() -> dict[str, str]:
    """Return tissue source site -> project."""
    text = packaged("tissue_source_sites.txt")
    lines = [line.partition(": ") for line in text.splitlines() if line and not line.startswith("#")]
    return {site: project for project, _, sites in lines for site in sites.split()}
