"""Systems that train here, a file each; a new one is a file and a name below."""

from __future__ import annotations

from pathplugins.published.systems.antoni_alpha import ANTONI_ALPHA
from pathplugins.published.systems.features_vqa import FEATURES_VQA
from pathplugins.published.systems.pallava import PA_LLAVA
from pathplugins.published.systems.patchtcga import PATCH_TCGA
from pathplugins.published.systems.pathgen_llava import PATHGEN
from pathplugins.published.systems.pathosynvlm import PATHOSYNVLM
from pathplugins.published.systems.quilt_llava import QUILT_LLAVA
from pathplugins.published.systems.slidechat import SLIDECHAT
from pathplugins.published.systems.system import Link, System
from pathplugins.published.systems.wsi_llava import WSI_LLAVA
from pathplugins.published.systems.wsi_llava_official import WSI_LLAVA_OFFICIAL

__all__ = ["SYSTEMS", "Link", "System"]

SYSTEMS = (
    WSI_LLAVA,
    PA_LLAVA,
    PATHGEN,
    PATCH_TCGA,
    FEATURES_VQA,
    WSI_LLAVA_OFFICIAL,
    SLIDECHAT,
    QUILT_LLAVA,
    PATHOSYNVLM,
    ANTONI_ALPHA,
)
