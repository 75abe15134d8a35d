"""Tissue and ink on drawn slides of every stain, with the stain named and without."""

import numpy as np
import pytest
from drawn_stains import INKS, MPP, STAINS, DrawnSlide, draw_slide

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.tissue.detect import Detection, TissueSpec, detect_tissue
from pathplugins.data_tools.tissue.morphology import dilate
from pathplugins.data_tools.tissue.stains import STAINS as ROWS
from pathplugins.data_tools.tissue.stains import described

CALLED = {"masson": "trichrome", "goldner": "trichrome"}
CASES = [
    (name, stain) for name in STAINS for stain in ("auto", CALLED.get(name, name)) if (name, stain) != ("pap", "auto")
]


def overlap(found: Detection, slide: DrawnSlide) -> float:
    """Intersection over union of the tissue, away from ink."""
    counts = ~dilate(slide.ink, 2 * 80 / MPP)
    return (found.mask & slide.tissue & counts).sum() / ((found.mask | slide.tissue) & counts).sum()


@pytest.mark.parametrize(("name", "stain"), CASES)
def test_tissue_is_found_pale_parts_too_up_to_what_was_not_scanned(name: str, stain: str) -> None:
    slide = draw_slide(name, black=True)
    found = detect_tissue(slide.rgb, MPP, TissueSpec(stain=stain))
    assert overlap(found, slide) > (0.85 if name == "pap" else 0.95)
    assert found.mask[slide.pale].mean() > 0.85
    assert not found.ink.any()
    assert np.mean(found.black != slide.black) < 0.002


@pytest.mark.parametrize(("name", "stain"), CASES)
def test_ink_goes_and_the_tissue_beside_it_stays(name: str, stain: str) -> None:
    slide = draw_slide(name, inks=tuple(INKS), black=True)
    found = detect_tissue(slide.rgb, MPP, TissueSpec(stain=stain))
    left_out = found.ink | found.black
    on_glass, far = slide.ink & ~slide.tissue, ~dilate(slide.ink, 2 * 80 / MPP) & slide.tissue
    assert left_out[on_glass].mean() > 0.99
    assert not found.mask[on_glass].any()
    assert left_out[slide.ink & slide.tissue].mean() > 0.5  # part of a stroke is not to be told from its own colour
    assert left_out[far].mean() < 0.05
    assert overlap(found, slide) > (0.75 if name == "pap" else 0.93)


def test_what_was_decided_is_said() -> None:
    assert "blue" in detect_tissue(draw_slide("masson", black=True).rgb, MPP, TissueSpec()).notes[0]
    assert "--stain reticulin" in detect_tissue(draw_slide("reticulin", black=True).rgb, MPP, TissueSpec()).notes[0]
    assert detect_tissue(draw_slide("masson", black=True).rgb, MPP, TissueSpec(stain="trichrome")).notes == ()


def test_he_takes_the_colours_of_ink_for_ink_wherever_they_are() -> None:
    slide = draw_slide("goldner", black=True)
    found = detect_tissue(slide.rgb, MPP, TissueSpec(stain="he"))
    assert found.ink[slide.tissue].mean() > 0.5


def test_single_cells_are_joined_for_pap_alone() -> None:
    slide = draw_slide("pap", black=True)
    assert overlap(detect_tissue(slide.rgb, MPP, TissueSpec()), slide) < 0.6


def test_every_stain_is_described_and_another_one_refused() -> None:
    assert all(f"  {name} " in described() for name in ROWS)
    with pytest.raises(PathPluginsError, match="auto, he, ihc"):
        TissueSpec(stain="giemsa")
