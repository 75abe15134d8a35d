"""Patients of labelled slides: by barcode, or by a column or pattern."""

from __future__ import annotations

from ..splits.row_files import RawRow
from ..splits.row_groups import PATIENT_COLUMNS, GroupRule, usual_column
from .bags_of_labels import Join, Labelled


def group_slides(joined: Join, rule: GroupRule) -> list[str]:
    """Return the group of every slide; those without one leave ``joined.slides`` and become faults.

    Raises:
        PathPluginsError: the rule asks for a column that is not there.
    """
    if joined.slides:
        rule.check_columns(joined.slides[0].label.cells)
    groups: list[str] = []
    known: list[Labelled] = []
    for slide in joined.slides:
        if found := rule.groups(_row(slide)):
            groups.append(found[0])
            known.append(slide)
    if len(known) < len(joined.slides):
        usual = usual_column(joined.slides[0].label.cells, PATIENT_COLUMNS) or "NAME"
        kind = f"slides without a {rule.by} (pass --group-column {usual}, or --group-pattern)"
        joined.faults[kind] = [slide.slide_id for slide in joined.slides if not rule.groups(_row(slide))]
    joined.slides = known
    return groups


def patients_of(joined: Join) -> list[tuple[str, ...]]:
    """Return the patient in the barcode of every slide, none where it has no barcode."""
    rule = GroupRule(by="patient")
    return [rule.groups(_row(slide)) for slide in joined.slides]


def _row(slide: Labelled) -> RawRow:
    return RawRow(slide.label.row, {**slide.label.cells, "slide_id": slide.slide_id}, "")
