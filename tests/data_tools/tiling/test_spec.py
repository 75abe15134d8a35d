"""Tiling settings refuse nonsense, and identify themselves."""

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.tiling.spec import TilingSpec
from pathplugins.data_tools.tissue.detect import TissueSpec
from pathplugins.data_tools.tissue.own_mask import OwnMask


@pytest.mark.parametrize(
    ("field", "value"),
    [("patch_size", 0), ("overlap", 256), ("overlap", -1), ("min_tissue", 1.5), ("mpp", 0.0), ("slide_mpp", -1.0)],
)
def test_spec_judges_itself(field: str, value: float) -> None:
    with pytest.raises(PathPluginsError, match=f"--{field.replace('_', '-')}"):
        TilingSpec(**{field: value})


def test_fingerprint_covers_all_that_decides_the_patches() -> None:
    changed = [
        TilingSpec(patch_size=224),
        TilingSpec(mpp=1.0),
        TilingSpec(overlap=8),
        TilingSpec(min_tissue=0.5),
        TilingSpec(slide_mpp=0.25),
        TilingSpec(snap=0.05),
        TilingSpec(override_mpp=0.25),
        TilingSpec(tissue=TissueSpec(open_um=10)),
        TilingSpec(tissue=TissueSpec(mpp=8)),
        TilingSpec(tissue=TissueSpec(remove_pen=False)),
        TilingSpec(mask=OwnMask(path=Path("m.png"), sha256="0")),
    ]
    assert len({spec.fingerprint() for spec in [TilingSpec(), *changed]}) == 12
    assert TilingSpec().fingerprint() == TilingSpec(patch_size=256).fingerprint()
    assert TilingSpec().fingerprint() == TilingSpec(save_patches="jpeg").fingerprint()  # the same patches
