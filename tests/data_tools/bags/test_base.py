"""Geometry of patches: filled, completed, and never contradicted silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags.base import Geometry, Source

WHOLE = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}


@pytest.mark.parametrize("missing", WHOLE)
def test_any_of_four_follows_from_the_other_three(missing: str) -> None:
    known = Geometry(**{name: value for name, value in WHOLE.items() if name != missing})
    assert known.completed() == Geometry(**WHOLE)


def test_two_of_four_tell_nothing() -> None:
    assert Geometry(patch_size=256, mpp=0.5).completed() == Geometry(patch_size=256, mpp=0.5)


def test_what_is_missing_is_filled_in() -> None:
    known = Geometry(encoder="uni", mpp=0.5)
    found = known.filled(Geometry(mpp=0.504, level0_mpp=0.25), where="a.h5", said_by="the options")
    assert found == Geometry(encoder="uni", mpp=0.5, level0_mpp=0.25)  # a magnification is a rounded mpp


@pytest.mark.parametrize("other", [Geometry(mpp=1.0), Geometry(encoder="gigapath")])
def test_contradictions_name_both(other: Geometry) -> None:
    with pytest.raises(PathPluginsError, match=r"a\.h5: .* is .* there but .* in the options; correct the wrong one"):
        Geometry(encoder="uni", mpp=0.5).filled(other, where="a.h5", said_by="the options")


def test_what_is_needed_is_asked_for_by_option() -> None:
    with pytest.raises(PathPluginsError) as error:
        Geometry(mpp=0.5).require(("mpp", "encoder", "level0_width", "level0_height"), where="a.h5")
    assert str(error.value).startswith(
        "a.h5: records no encoder, level0_width, level0_height; pass --encoder NAME, --slide-size WxH, or --coords DIR"
    )


def test_a_source_names_its_group() -> None:
    assert str(Source(path=Path("a.h5"), kind="clam", slide_id="a")) == "a.h5"
    assert str(Source(path=Path("f.h5"), kind="pathgen-mil", slide_id="a", group="a")) == "f.h5[a]"


NOMINAL = Geometry(patch_size=256, patch_size_level0=512, mpp=0.5, level0_mpp=0.25, nominal=True)


@pytest.mark.parametrize("level0_mpp", [0.2208, 0.2637])
def test_what_follows_from_a_magnification_gives_way(level0_mpp: float) -> None:
    wanted = Geometry(patch_size=256, patch_size_level0=512, mpp=2 * level0_mpp, level0_mpp=level0_mpp)
    measured = Geometry(level0_mpp=level0_mpp)
    assert NOMINAL.filled(measured, where="a.h5", said_by="the options").completed() == wanted
    assert measured.filled(NOMINAL, where="a.h5", said_by="a patch file").completed() == wanted


def test_nominal_stays_nominal_where_nothing_is_measured() -> None:
    assert NOMINAL.filled(Geometry(encoder="uni"), where="a.h5", said_by="the options").nominal
    assert NOMINAL.filled(NOMINAL, where="a.h5", said_by="a patch file").nominal
    assert Geometry(encoder="uni").filled(NOMINAL, where="a.h5", said_by="a patch file").nominal


def test_a_magnification_that_is_no_rounding_of_what_is_stated_is_a_contradiction() -> None:
    with pytest.raises(PathPluginsError, match=r"level0_mpp is 0\.25 there but 0\.5 in the options"):
        NOMINAL.filled(Geometry(level0_mpp=0.5), where="a.h5", said_by="the options")
