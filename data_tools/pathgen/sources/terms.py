"""Terms: what is known of the licences of what is about to be downloaded, shown and agreed to before it starts."""

from __future__ import annotations

import sys

from pathplugins.core.errors import PathPluginsError

from ...engine.progress import say

DATA = (
    "PathGen-1.6M, PathGen-Instruct and PathGen_init: the authors' data page allows non-commercial research use; the "
    "same data are tagged cc-by-4.0, which would allow commercial use too. The two do not agree: keep to the narrower "
    "one, or ask the authors. PathGen_init holds parts of Quilt-1M and PathCap, which have terms of their own.\n"
    "  https://huggingface.co/datasets/jamessyx/PathGen"
)
WEIGHTS = (
    "PathGen-CLIP and PathGen-LLaVA weights: tagged cc-by-2.0 by their authors, and made from the data above; a "
    "language model inside (Vicuna, from Llama 2) has a licence of its own.\n"
    "  https://github.com/PathFoundation/PathGen-1.6M"
)
SLIDES = (
    "TCGA slides from the GDC: open access, without a login. Users must not try to identify participants, and name "
    "TCGA in what they publish.\n"
    "  https://gdc.cancer.gov/access-data/data-access-policies"
)


def agree(*terms: str, yes: bool) -> None:
    """Show terms; on a terminal ask, elsewhere want ``--yes``.

    Raises:
        PathPluginsError: they were not agreed to.
    """
    say("Terms, as far as they are known; read the originals:")
    for text in terms:
        say(f"- {text}")
    if yes:
        return
    if not (sys.stdin and sys.stdin.isatty()):
        raise PathPluginsError("nothing was downloaded: pass --yes to say that you keep to these terms")
    say("Do you keep to these terms? [y/N]")
    if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
        raise PathPluginsError("nothing was downloaded: the terms were not agreed to")
