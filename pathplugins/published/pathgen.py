"""PathGen's repositories on the Hugging Face hub, and the terms of everything that is downloaded for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pathplugins.published.licence import Licence, Statement, stated
from pathplugins.published.pathgen_clip import BY_NAME, CODE

JSON_FILES = ("*.json", "*.jsonl")
WEIGHT_FILES = ("*.json", "*.txt", "*.pt", "*.bin", "*.safetensors")
DATA_README = f"Data/README.md of {CODE}"
TAG = "tag of its page"


@dataclass(frozen=True, kw_only=True)
class HubRepository:
    """A repository, and which of its files are wanted."""

    kind: Literal["dataset", "model"]
    repository: str
    patterns: tuple[str, ...] = JSON_FILES
    """File names that are fetched unless others are asked for."""
    licence: Licence
    gated: bool = False
    note: str = ""

    @property
    def source(self) -> str:
        """Address of its page."""
        return f"https://huggingface.co/{'datasets/' if self.kind == 'dataset' else ''}{self.repository}"

    def terms(self) -> str:
        """Return all that is known of its terms, ending with its address on a line of its own."""
        gate = "accept its conditions on its page first; " if self.gated else ""
        note = f" {self.note}" if self.note else ""
        return f"{self.repository}: {gate}{self.licence.explained()}.{note}\n  {self.source}"


RESEARCH_AND_TAG = Licence(
    shown="non-commercial research use",
    statements=(
        Statement(says="non-commercial research use", by=DATA_README),
        Statement(says="cc-by-4.0, which would allow commercial use too", by=TAG),
    ),
)
MADE_FROM_DATA = "Made from PathGen-1.6M, whose authors allow non-commercial research use."
_CLIP_L = BY_NAME["pathgen-clip-l"]

REPOSITORIES = {
    "captions": HubRepository(kind="dataset", repository="jamessyx/PathGen", licence=RESEARCH_AND_TAG),
    "instruct": HubRepository(
        kind="dataset",
        repository="jamessyx/PathInstruct",
        gated=True,
        licence=Licence(
            shown="cc-by-nc-2.0, non-commercial",
            statements=(
                Statement(says="non-commercial research use", by=DATA_README),
                Statement(says="cc-by-nc-2.0", by=TAG),
            ),
        ),
        note="PathGen's README links it as PathGen-Instruct; its own page cites PathAsst.",
    ),
    "init": HubRepository(
        kind="dataset",
        repository="jamessyx/PathGen_init",
        licence=RESEARCH_AND_TAG,
        note="It lists images of Quilt-1M, PathCap and OpenPath, which have terms of their own.",
    ),
    "clip-l": HubRepository(
        kind="model",
        repository=_CLIP_L.hub_id,
        patterns=WEIGHT_FILES,
        licence=_CLIP_L.licence,
        gated=_CLIP_L.gated,
        note=MADE_FROM_DATA,
    ),
    "clip-l-hf": HubRepository(
        kind="model",
        repository="jamessyx/pathgenclip-vit-large-patch14-hf",
        patterns=WEIGHT_FILES,
        licence=_CLIP_L.licence,
        note=f"The authors' conversion of {_CLIP_L.hub_id}, whose terms these are: its own page was not read. "
        f"{MADE_FROM_DATA}",
    ),
}
"""Name of ``pathdata pathgen fetch --what`` -> repository; names of the authors' README."""

LLAVA_WEIGHTS = HubRepository(
    kind="model",
    repository="jamessyx/PathGen-LLaVA",
    patterns=WEIGHT_FILES,
    licence=stated("cc-by-4.0", TAG),
    note=f"{MADE_FROM_DATA} Its language model, Vicuna, comes from Llama 2, which has a licence of its own.",
)

GDC_TERMS = (
    "TCGA slides from the GDC: open access, without a login. Users must not try to identify participants, and name "
    "TCGA in what they publish.\n"
    "  https://gdc.cancer.gov/access-data/data-access-policies"
)
