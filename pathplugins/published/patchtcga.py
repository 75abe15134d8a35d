"""PatchTCGA's data sets and the one they are compared with: organs, classes, sizes, licences, names of archives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pathplugins.published.licence import Licence, stated

CODE = "https://github.com/enigmanx20/PatchTCGA"
README = f"README of {CODE}"
PAPER = "https://arxiv.org/abs/2303.15693"
GDS_POLICY = "https://datascience.cancer.gov/data-sharing/genomic-data-sharing/about-the-genomic-data-sharing-policy"
PCAM = "https://github.com/basveeling/pcam"
PANDA = "https://www.kaggle.com/c/prostate-cancer-grade-assessment/data"

IGNORED_FOLDER = "thumbnail_position_map"
"""A folder of PTCGA200 beside the organs, without patches."""

ORGAN_OF = {
    "adrenal_gland": 0,
    "bile_liver": 1,
    "bladder": 2,
    "brain": 3,
    "breast": 4,
    "cervix_uteri": 5,
    "colon": 6,
    "corpus_uteri": 7,
    "esophagus": 8,
    "kidney": 9,
    "liver": 1,
    "lung": 10,
    "lymphnode": 11,
    "ovary": 12,
    "pancreas": 13,
    "prostate": 14,
    "rectosigmoid": 6,
    "rectum": 6,
    "skin": 15,
    "small_intestine": 6,
    "stomach": 16,
    "testis": 17,
    "thymus": 18,
    "thyroid": 19,
}
"""Folder of PTCGA200 -> class, from ``organ2id`` in dataset_utils.py of the published code: 24 folders, 20 classes."""

ORGANS = (
    "adrenal gland",
    "liver or bile duct",
    "bladder",
    "brain",
    "breast",
    "cervix",
    "bowel",
    "body of the uterus",
    "esophagus",
    "kidney",
    "lung",
    "lymph node",
    "ovary",
    "pancreas",
    "prostate",
    "skin",
    "stomach",
    "testis",
    "thymus",
    "thyroid",
)
"""Name of each class of PTCGA200, for people. The published code names the classes of several folders by the last one,
which calls the bowel small intestine and the bile duct liver; these names are ours."""

TUMOUR_CLASSES = {"normal": 0, "tumor": 1}
"""Folder of PCam200 -> class, as in its loader; PatchCamelyon's labels mean the same for the middle 32 x 32 pixels."""

TISSUES = ("background", "stroma", "benign epithelium", "Gleason 3", "Gleason 4", "Gleason 5")
"""Class of each mask value of SegPANDA200. The published code says only that there are six; the names are those of
PANDA's masks with six values (Radboud)."""
CANCERS = (3, 4, 5)
"""Mask values that are cancer."""

MASK_SUFFIX = "_mask"
"""Ends the stem of a mask's file name, in any case."""

Task = Literal["classes", "masks"]


@dataclass(frozen=True, kw_only=True)
class PublishedSet:
    """One data set of labelled patches."""

    kind: str
    """Its name in commands."""
    name: str
    """Its name in print, and that of its folder."""
    what: str
    """What it holds and asks, in a line."""
    task: Task
    classes: tuple[str, ...]
    """Label names by class id."""
    patch_px: int
    """Width and height of a patch, pixels."""
    mpp: float
    """Microns per pixel."""
    licence: Licence
    archive: str = ""
    """Name of the whole archive."""
    parts: str = ""
    """Pattern of the names of the parts that the archive comes in; empty where it comes whole or is not known."""

    def terms(self) -> str:
        """Return all that is known of its terms of use, in a line."""
        return f"{self.name} ({self.what}): {self.licence.explained()}"


DATASETS = {
    dataset.kind: dataset
    for dataset in (
        PublishedSet(
            kind="ptcga200",
            name="PTCGA200",
            what="patches of TCGA slides, which organ",
            task="classes",
            classes=ORGANS,
            patch_px=512,
            mpp=0.39,
            licence=stated(f"NIH Genomic Data Sharing (GDS) Policy, {GDS_POLICY}", README),
            archive="PTCGA200.tar.gz",
            parts="PTCGA200_p_*",
        ),
        PublishedSet(
            kind="pcam200",
            name="PCam200",
            what="patches of Camelyon16 slides, tumour or normal tissue",
            task="classes",
            classes=("normal", "tumor"),
            patch_px=512,
            mpp=0.39,
            licence=stated("CC0 1.0", README),
        ),
        PublishedSet(
            kind="segpanda200",
            name="SegPANDA200",
            what="patches of PANDA biopsies, masks of six classes",
            task="masks",
            classes=TISSUES,
            patch_px=512,
            mpp=0.39,
            licence=stated("CC BY-NC-SA 4.0, non-commercial", README),
        ),
        PublishedSet(
            kind="patchcamelyon",
            name="PatchCamelyon",
            what="small patches of Camelyon16 slides, tumour in the middle 32 x 32 pixels or not",
            task="classes",
            classes=("normal", "tumor"),
            patch_px=96,
            mpp=0.972,
            licence=stated("CC0", f"README of {PCAM}"),
        ),
    )
}
"""Kind -> data set. Sizes: README of PatchTCGA; PatchCamelyon's: 10x, from 40x of 0.243 um/px, README of its own."""
