"""Mask options: no class without a mask, no masks without the option."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.commands.options.masks import MaskOptions


def test_a_class_needs_a_mask() -> None:
    with pytest.raises(PathPluginsError, match="--mask-class Tumor is a class of a GeoJSON; say which with --mask"):
        MaskOptions(mask_class="Tumor")


def test_masks_of_slides(tmp_path: Path) -> None:
    slide = Path("in/a.svs")
    assert MaskOptions().masks([slide]) == {}
    assert MaskOptions(mask=tmp_path / "absent").masks([]) == {}
    Image.fromarray(np.ones((7, 11), np.uint8)).save(tmp_path / "a.png")
    (mask,) = MaskOptions(mask=tmp_path).masks([slide]).values()
    assert (mask.path, mask.class_name) == (tmp_path / "a.png", None)
