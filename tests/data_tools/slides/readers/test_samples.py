"""Samples: scaled by the bits in use, refused where those are unknown or contradicted, never clipped."""

import numpy as np
import pytest

from pathplugins.data_tools.slides.errors import SlideError
from pathplugins.data_tools.slides.readers.samples import Samples

U16 = np.dtype(np.uint16)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_the_full_range_becomes_the_full_range(bits: int) -> None:
    samples = Samples("s", U16, recorded_bits=bits)
    top = 2**bits - 1
    assert samples.to_8_bits(np.array([[0, top // 3, top]], np.uint16)).tolist() == [[0, 85, 255]]


def test_8_bits_are_left_as_they_are() -> None:
    stored = np.arange(256, dtype=np.uint8)
    samples = Samples("s", stored.dtype, recorded_bits=None)
    assert samples.to_8_bits(stored) is stored
    samples.check(np.zeros((3, 5), np.uint8))


def test_more_than_the_recorded_bits_is_an_error_and_not_clipped() -> None:
    with pytest.raises(SlideError, match="a pixel is 4096, above the 4095 of the 12 bits"):
        Samples("s", U16, recorded_bits=12).to_8_bits(np.array([4096], np.uint16))


def test_dark_samples_of_unknown_depth_are_refused() -> None:
    unknown = Samples("s", U16, recorded_bits=None)
    unknown.check(np.array([200, 60_000], np.uint16))
    with pytest.raises(SlideError, match=r"16 bits but none is brighter than 4000 of 65535.*12 bits"):
        unknown.check(np.array([200, 4000], np.uint16))
    Samples("s", U16, recorded_bits=16).check(np.array([200, 4000], np.uint16))


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint32, np.bool_])
def test_other_numbers_are_refused(dtype: type) -> None:
    with pytest.raises(SlideError, match=f"{np.dtype(dtype).name}.*8-bit RGB"):
        Samples("s", np.dtype(dtype), recorded_bits=None)
    with pytest.raises(SlideError, match="1 of uint8"):
        Samples("s", np.dtype(np.uint8), recorded_bits=1)
