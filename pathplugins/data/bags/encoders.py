"""Patch encoders of bags: refuse features of another encoder than the tower's, or of several in one run.

Several encoders give features of one width (1536: gigapath, uni2-h, h-optimus-0 and h-optimus-1), so no shape tells
them apart: a model trained on one and given another answers nonsense without an error. Most bags name their encoder:
`pathplugins.data.bags.layout` reads the name from whichever attribute a tool wrote it to.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Mapping

from pathplugins.data.bags.bad_bag import BadBag
from pathplugins.data.bags.layout import BagInfo
from pathplugins.published.encoder_names import encoder_key

REASON = "another encoder"
"""The class such bags are counted under in a report."""
ALLOW = "set allow_other_encoder: true (commands: --allow-other-encoder)"

_WARNED = threading.Event()

logger = logging.getLogger(__name__)


def check_encoder(info: BagInfo, expected: str | None) -> None:
    """Raise a `BadBag` if a bag names another patch encoder than the tower expects; None expects no particular one."""
    if expected is None:
        return
    if info.encoder is None:
        warn_of_unnamed(info.path, expected)
    elif encoder_key(info.encoder) != encoder_key(expected):
        raise BadBag(f"{info.path}: {other_encoder(info.encoder, expected)}", reason=REASON)


def unfit_encoders(
    encoders: Mapping[str, str | None], expected: str | None, *, settled: str | None = None
) -> dict[str, str]:
    """Return path -> sentence for the bags of a run whose encoder does not go with the tower, or with the other bags.

    Args:
        encoders: path of every bag -> the encoder it names, None where it names none.
        expected: encoder the tower was trained on. None if it takes any: then all must name the one that most name.
        settled: encoder that earlier bags of the run name, which these must name too.
    """
    named = {path: name for path, name in encoders.items() if name is not None}
    if unnamed := [path for path in encoders if path not in named]:
        warn_of_unnamed(unnamed[0], expected, bags=len(unnamed), of=len(encoders))
    if expected is not None:
        others = {path: name for path, name in named.items() if encoder_key(name) != encoder_key(expected)}
        return {path: f"{path}: {other_encoder(name, expected)}" for path, name in others.items()}
    usual = settled or usual_encoder(encoders)
    counts = Counter(map(encoder_key, named.values()))
    return {
        path: f"{path}: features are of the encoder {name!r}, but {counts[encoder_key(usual)] or 'other'} of "
        f"{len(named)} bags of this run name {usual!r}; expected one encoder: extract all with the same "
        f"one, or {ALLOW}"
        for path, name in named.items()
        if encoder_key(name) != encoder_key(usual)
    }


def usual_encoder(encoders: Mapping[str, str | None]) -> str | None:
    """Return the encoder that most bags name (path -> name), the first of equals; None if no bag names one."""
    named = [name for name in encoders.values() if name is not None]
    counts = Counter(map(encoder_key, named))
    return max(named, key=lambda name: counts[encoder_key(name)], default=None)


def warn_of_unnamed(path: str, expected: str | None, *, bags: int = 1, of: int = 1) -> None:
    """Log once in a run, in its first process, that bags name no encoder.

    Args:
        path: the first of them.
        expected: encoder the tower was trained on, if one is known.
        bags: how many name none.
        of: how many were looked at.
    """
    if _WARNED.is_set() or os.environ.get("RANK", "0") != "0":
        return
    _WARNED.set()
    who = path if of == 1 else f"{bags} of {of} bags (first: {path})"
    logger.warning(
        "%s: no patch encoder is named, so nothing checks that the features are of %s; write the name with `pathdata "
        "convert features %s --encoder NAME --out DIR`",
        *(who, expected or "one and the same", path),
    )


def other_encoder(name: str, expected: str) -> str:
    """Return the sentence that refuses features of the encoder ``name`` where those of ``expected`` are needed."""
    return (
        f"features are of the encoder {name!r}, but the vision tower was trained on those of {expected!r}; extract the "
        f"slide with {expected}, or {ALLOW} if they are meant to be used"
    )
