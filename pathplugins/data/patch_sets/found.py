"""What reading a folder as a patch set gives: the set, and everything that is wrong with the folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pathplugins.data.patch_sets.patch_set import PatchSet
from pathplugins.data.patch_sets.tree import Tree
from pathplugins.data.records import BadSample, BadSampleReport
from pathplugins.published.patchtcga import DATASETS


@dataclass(frozen=True, kw_only=True)
class Found:
    """A patch set and its faults."""

    patches: PatchSet
    faults: list[BadSample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Remarks that are no faults."""

    def whole(self) -> PatchSet:
        """Return the set if nothing is wrong.

        Raises:
            BadSamplesError: something is, all of it in one report.
        """
        BadSampleReport(total=len(self.patches) + len(self.faults), bad=self.faults).raise_if_any()
        return self.patches


def found(tree: Tree, *, kind: str, expected: str, **fields: Any) -> Found:
    """Return the patch set of a tree; one without samples is a fault.

    Args:
        tree: what was read.
        kind: of the set; what is published of it fills the fields that are not given.
        expected: the layout, for the message.
        fields: of `PatchSet`.
    """
    if kind in DATASETS:
        published = DATASETS[kind]
        given = {"classes": published.classes, "patch_px": published.patch_px, "mpp": published.mpp}
        fields = {**given, "task": published.task, "licence": published.licence.shown, **fields}
    patches = PatchSet(kind=kind, root=tree.root, **{**tree.columns(), **fields})
    if not len(patches) and not tree.faults:
        tree.fault(b"", "no patches", f"expected {expected}")
    if tree.other_files:
        tree.notes.append(f"{tree.other_files} files that are no pictures are ignored")
    return Found(patches=patches, faults=tree.faults, notes=tree.notes)
