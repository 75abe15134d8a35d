"""The slide of a patch, from its file name.

Only a TCGA barcode is understood; of any other name the slide is unknown, ``""``, and never guessed: a wrong guess
would put patches of one slide on both sides of a split.
"""

from __future__ import annotations

import re

_BARCODE = re.compile(
    r"(?<![0-9A-Z])(TCGA-[0-9A-Z]{2}-[0-9A-Z]{4}(?:-[0-9]{2}[A-Z](?:-[0-9]{2}-(?:TS|MS|BS|DX)[0-9A-Z]+)?)?)(?![0-9A-Z])",
    re.IGNORECASE,
)


def tcga_slide(name: str) -> str:
    """Return the slide barcode that stands in a file name, in capitals, without the UUID after it.

    ``TCGA-02-0001-01Z-00-DX1.83fce43e_12_7.jpg`` is of ``TCGA-02-0001-01Z-00-DX1``: project, site, participant, sample
    and vial, portion, slide. Where only the sample or the participant is there, that is the group: numbers after it may
    be positions of the patch. ``""`` where the name holds no barcode.
    """
    found = _BARCODE.search(name)
    return found[1].upper() if found else ""
