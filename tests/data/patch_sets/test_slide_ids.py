"""The slide of a patch is its TCGA barcode, and unknown without one."""

import pytest

from pathplugins.data.patch_sets.slide_ids import tcga_slide

SLIDE = "TCGA-02-0001-01Z-00-DX1"


@pytest.mark.parametrize(
    ("name", "slide"),
    [
        (f"{SLIDE}.83fce43e-42ac-4dcd-b156-2908e75f2e47_12_7.jpg", SLIDE),
        (f"{SLIDE.lower()}_3.PNG", SLIDE),
        (f"{SLIDE}-512-1024.jpg", SLIDE),
        ("TCGA-AA-3875-01A-01-TS1_001.jpg", "TCGA-AA-3875-01A-01-TS1"),
        ("TCGA-02-0001-33-44.jpg", "TCGA-02-0001"),  # the numbers may be a position
        ("patch_12_7.jpg", ""),
        ("XTCGA-02-0001.jpg", ""),
    ],
)
def test_the_slide_of_a_name(name: str, slide: str) -> None:
    assert tcga_slide(name) == slide
