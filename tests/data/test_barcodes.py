"""Barcodes of TCGA in names of files."""

from __future__ import annotations

import pytest

from pathplugins.data.barcodes import patient_of, slide_of

SLIDE = "TCGA-55-8621-01Z-00-DX1"


@pytest.mark.parametrize(
    ("name", "slide", "patient"),
    [
        (f"{SLIDE}.af2b1c.svs", SLIDE, "TCGA-55-8621"),
        (f"lung/{SLIDE}.af2b_12_34.JPEG", SLIDE, "TCGA-55-8621"),
        (f"train/normal/{SLIDE}/17.png", SLIDE, "TCGA-55-8621"),
        ("tcga-55-8621-01z-00-dx1_3.jpg", SLIDE, "TCGA-55-8621"),
        ("TCGA-55-8621-01A-01-TSA.x", "TCGA-55-8621-01A-01-TSA", "TCGA-55-8621"),
        ("TCGA-55-8621.svs", None, "TCGA-55-8621"),
        ("TCGA-55-86219.svs", None, None),
        (f"{SLIDE}23.svs", None, "TCGA-55-8621"),
        ("TCGA-LUAD/slide_1.png", None, None),
        (f"{SLIDE}_TCGA-55-8622-01Z-00-DX1.png", None, None),
        (f"TCGA-00-0000-01Z-00-DX1/{SLIDE}_1.png", SLIDE, "TCGA-55-8621"),
    ],
)
def test_barcodes_are_read_up_to_slide_and_patient(name: str, slide: str | None, patient: str | None) -> None:
    assert (slide_of(name), patient_of(name)) == (slide, patient)
