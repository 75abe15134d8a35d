"""Names of patch encoders: the spellings by which other tools and hubs call the encoders of ``pathdata encoders``."""

from __future__ import annotations

import functools

SPELLINGS = {
    "gigapath": ("prov-gigapath", "prov-gigapath/prov-gigapath"),
    "uni": ("uni-v1", "mahmoodlab/uni"),
    "uni2-h": ("uni-v2", "uni2", "mahmoodlab/uni2-h"),
    "h-optimus-0": ("hoptimus0", "bioptimus/h-optimus-0"),
    "h-optimus-1": ("hoptimus1", "bioptimus/h-optimus-1"),
    "conch": ("conch-v1", "mahmoodlab/conch"),
    "virchow": ("paige-ai/virchow",),
    "virchow2": ("paige-ai/virchow2",),
    "phikon": ("owkin/phikon",),
    "phikon-v2": ("phikonv2", "owkin/phikon-v2"),
}
"""Our name -> other spellings, in lower case with hyphens: the names that TRIDENT, STAMP and LazySlide write, hub ids,
and the folder that ``hf download`` is usually given."""


def encoder_key(name: str) -> str:
    """Return our name of a patch encoder, whichever spelling ``name`` is; an unknown name in lower case.

    ``UNI_v2``, ``hf-hub:MahmoodLab/UNI2-h`` and ``uni2-h`` are one encoder. A name with a remark, such as ``gigapath
    (random weights, seed 3)``, is an encoder of its own.
    """
    plain = name.strip().casefold().replace("_", "-").removeprefix("hf-hub:")
    return _by_spelling().get(plain, plain)


@functools.cache
def _by_spelling() -> dict[str, str]:
    return {spelling: name for name, spellings in SPELLINGS.items() for spelling in (name, *spellings)}
