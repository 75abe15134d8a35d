"""Names of patch encoders: the spellings by which other tools call the encoders of ``pathdata encoders``."""

from __future__ import annotations

import functools

SPELLINGS = {
    "gigapath": ("prov-gigapath",),
    "uni": ("uni-v1",),
    "uni2-h": ("uni-v2", "uni2"),
    "h-optimus-0": ("hoptimus0",),
    "h-optimus-1": ("hoptimus1",),
    "conch": ("conch-v1",),
    "phikon-v2": ("phikonv2",),
    "conch-v1.5": ("conch-v15", "conchv1-5", "conch-v1-5"),
    "midnight-12k": ("midnight12k", "midnight"),
    "lunit-vits8": ("lunit-dino-s8", "lunit"),
    "lunit-vits16": ("lunit-dino-s16",),
    "ctranspath": ("chief-ctranspath", "ctranspath-chief"),
}
"""Our name -> other spellings, in lower case with hyphens: those of TRIDENT, STAMP and LazySlide, and of the folder
that ``hf download`` is usually given. Names and hub ids of our own rows need no line here."""


def encoder_key(name: str) -> str:
    """Return our name of a patch encoder, whichever spelling ``name`` is; an unknown name in lower case.

    ``UNI_v2``, ``hf-hub:MahmoodLab/UNI2-h`` and ``uni2-h`` are one encoder. A name with a remark, such as ``gigapath
    (random weights, seed 3)``, is an encoder of its own.
    """
    return _by_spelling().get(_plain(name), _plain(name))


def _plain(name: str) -> str:
    return name.strip().casefold().replace("_", "-").removeprefix("hf-hub:")


@functools.cache
def _by_spelling() -> dict[str, str]:
    from pathplugins.published.encoders import CARDS
    from pathplugins.published.slide_models import SLIDE_MODELS

    own = (card for card in CARDS if card.hub_id and not card.hub_id.startswith("timm/"))  # a row may cut timm's model
    ids = {_plain(card.hub_id): card.name for card in own}
    ids |= {_plain(model.hub_id): model.name for model in SLIDE_MODELS if model.hub_id}
    return {**ids, **{spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings}}
