"""Options of pairs: names, sizes and the settings that decide whether a slide is done."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pathgen.pairs.options import GIVEN_FOR_ALL, PairOptions, fraction_outside


def settings(options: PairOptions, **more: object) -> dict[str, object]:
    known = {"mpp_source": "slide", "has_outside": False, "override_mpp": None, **more}
    return json.loads(options.settings(**known))  # type: ignore[arg-type]


def test_names_of_pictures() -> None:
    assert PairOptions().image_name("W.1", 3, 5) == "W.1/3_5.jpg"
    assert PairOptions(naming="flat", format="png").image_name("W.1", 3, 5) == "W.1_3_5.png"
    assert PairOptions(format="webdataset").suffix == "jpg"


def test_settings_hold_only_what_made_a_difference() -> None:
    assert settings(PairOptions()) == {
        **{"format": "jpeg", "size": 672, "mpp": None, "quality": 90, "naming": "slide", "captions": False},
        "mpp_of_the_slide": None,
    }
    assert "slide_mpp" not in settings(PairOptions(slide_mpp=0.3))
    assert settings(PairOptions(slide_mpp=0.3), mpp_source=GIVEN_FOR_ALL)["slide_mpp"] == 0.3
    assert settings(PairOptions(outside="pad"), has_outside=True)["outside"] == "pad"
    assert "naming" not in settings(PairOptions(format="webdataset"))
    assert settings(PairOptions(format="png", quality=3))["png_level"] == 1


@pytest.mark.parametrize(("at", "outside"), [((0, 0), 0), ((-10, 0), 0.1), ((55, 25), 0.4375), ((200, 0), 1)])
def test_the_fraction_beyond_the_slide(at: tuple[int, int], outside: float) -> None:
    """On a slide of 130 x 100."""
    assert fraction_outside(*at, 100, (130, 100)) == pytest.approx(outside)


def test_pictures_are_encoded_as_asked() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (7, 11, 3), np.uint8)
    png = Image.open(io.BytesIO(PairOptions(format="png").encode(pixels)))
    np.testing.assert_array_equal(np.asarray(png), pixels)
    jpeg = Image.open(io.BytesIO(PairOptions().encode(pixels)))
    assert (jpeg.format, jpeg.size) == ("JPEG", (11, 7))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 0}, "--size must be at least 1"),
        ({"quality": 0}, "--quality must be 1 to 100, got 0"),
        ({"png_level": 10}, "--png-level must be 0 to 9, got 10"),
        ({"mpp": float("inf")}, "--mpp must be microns per pixel above 0"),
    ],
)
def test_values_out_of_range(values: dict[str, object], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        PairOptions(**values)  # type: ignore[arg-type]
