"""TCGA barcodes: the slide and the patient that a file name is of."""

from __future__ import annotations

import re

_PATIENT = r"TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}"
_PATIENT_BARCODE = re.compile(rf"(?<![A-Z0-9]){_PATIENT}(?![A-Z0-9])", re.IGNORECASE)
_SLIDE_BARCODE = re.compile(
    rf"(?<![A-Z0-9]){_PATIENT}-[0-9]{{2}}[A-Z]-[0-9]{{2}}-[A-Z]{{2}}[A-Z0-9]{{1,2}}(?![A-Z0-9])", re.IGNORECASE
)


def patient_of(name: str) -> str | None:
    """Return the patient in a TCGA barcode, ``TCGA-55-8621``; None without one, or with those of two patients.

    Args:
        name: File name or path with ``/``; the part nearest to the end that has a barcode decides.
    """
    return _barcode(_PATIENT_BARCODE, name)


def slide_of(name: str) -> str | None:
    """Return a TCGA barcode up to the slide, ``TCGA-55-8621-01Z-00-DX1``, as `patient_of` does.

    What follows the slide, such as a UUID or the place of a patch, is of no account.
    """
    return _barcode(_SLIDE_BARCODE, name)


def _barcode(expression: re.Pattern[str], name: str) -> str | None:
    for part in reversed(name.split("/")):
        found = {barcode.upper() for barcode in expression.findall(part)}
        if found:
            return found.pop() if len(found) == 1 else None
    return None
