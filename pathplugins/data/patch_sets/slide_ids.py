"""The slide of a patch, from its file name.

Only a TCGA barcode is understood; of any other name the slide is unknown, ``""``, and never guessed: a wrong guess
would put patches of one slide on both sides of a split.
"""

from __future__ import annotations

from pathplugins.data.barcodes import patient_of, slide_of


def tcga_slide(name: str) -> str:
    """Return the slide barcode in a file name, in capitals, without the UUID and the position after it.

    ``TCGA-02-0001-01Z-00-DX1.83fce43e_12_7.jpg`` is of ``TCGA-02-0001-01Z-00-DX1``. Of a name that stops at the
    patient, the patient is the group: numbers after it may be the position of the patch. ``""`` without a barcode.
    """
    return slide_of(name) or patient_of(name) or ""
