"""Missing slides: those that a data set names and that have no file, counted and reported once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.counted import counted
from pathplugins.core.files import write_text_whole
from pathplugins.core.suffixes import slide_key
from pathplugins.data.records import first_shown


@dataclass(frozen=True, kw_only=True)
class MissingSlides:
    """The slides without a file, each once."""

    slides: dict[str, int]
    """Id as it is first spelled -> number of patches; most patches first."""
    of_slides: int
    """Number of slides that the data set names."""
    of_patches: int
    """Number of patches on those."""

    def text(self, fault: str, beside: Path | None = None) -> str:
        """Return how many are missing, and the first few by name; empty if none is missing.

        Args:
            fault: The rest of the sentence that begins with the slides, e.g. ``are not in slides/``.
            beside: The file that ``write`` wrote, named for the reader.
        """
        if not self.slides:
            return ""
        lost = sum(self.slides.values())
        counts = f"{len(self.slides)} of {self.of_slides} slides {fault} ({lost} of {self.of_patches} patches):"
        lines = [counts, first_shown([f"{name}: {counted(count, 'patch')}" for name, count in self.slides.items()])]
        return "\n".join(lines if beside is None else [*lines, f"All of them: {beside}"])

    def write(self, path: Path) -> None:
        """Write all of them as a table; if none is missing, remove the table of an earlier run."""
        if not self.slides:
            path.unlink(missing_ok=True)
            return
        rows = "".join(f"{name}\t{count}\n" for name, count in self.slides.items())
        write_text_whole(path, f"wsi_id\tpatches\n{rows}")


def missing_slides(patches: Mapping[str, int], found: Collection[str]) -> MissingSlides:
    """Return the slides that are not among the keys ``found``; ``patches`` counts under any spelling of an id."""
    spelled: dict[str, str] = {}
    counts: dict[str, int] = {}
    for wsi_id, count in patches.items():
        key = slide_key(wsi_id)
        spelled.setdefault(key, wsi_id)
        counts[key] = counts.get(key, 0) + count
    lost = sorted((key for key in counts if key not in found), key=lambda key: (-counts[key], key))
    slides = {spelled[key]: counts[key] for key in lost}
    return MissingSlides(slides=slides, of_slides=len(counts), of_patches=sum(counts.values()))
