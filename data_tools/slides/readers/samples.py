"""Turn the samples of a slide into 8-bit colours: by the bits that the file records, never by clipping."""

from __future__ import annotations

import numpy as np

from ..errors import SlideError

DEPTHS = (8, 16)  #: bits of the unsigned integers that are read


class Samples:
    """How the samples of one file become 8-bit values."""

    def __init__(self, source: str, dtype: np.dtype, *, recorded_bits: int | None) -> None:
        """Check that the samples can be read.

        Args:
            source: The file, for messages.
            dtype: Type of the samples as stored.
            recorded_bits: Bits in use, where the file says so; None takes all.

        Raises:
            SlideError: samples that are no unsigned integers of 8 to 16 bits.
        """
        bits = 8 * dtype.itemsize
        if dtype.kind != "u" or bits not in DEPTHS or (recorded_bits is not None and not 8 <= recorded_bits <= bits):
            raise SlideError(
                f"{source}: its pixels are {recorded_bits or ''}{' of ' if recorded_bits else ''}{dtype.name}, which "
                "have no obvious 8-bit colours; save it as 8-bit RGB or grey"
            )
        self._source = source
        self._recorded = recorded_bits is not None
        self.bits = recorded_bits or bits
        self.top = 2**self.bits - 1
        values = np.arange(2**bits, dtype=np.float64)
        self._lookup = np.round(np.minimum(values, self.top) * 255 / self.top).astype(np.uint8)

    def check(self, overview: np.ndarray) -> None:
        """Refuse a file whose brightest pixels contradict its depth: 12 bits in 16 would come out almost black.

        Args:
            overview: The samples of the smallest level, any shape.

        Raises:
            SlideError: all of them use less than half of a depth that the file does not record.
        """
        brightest = int(overview.max(initial=0))
        if self.bits > 8 and not self._recorded and brightest <= self.top // 2:
            raise SlideError(
                f"{self._source}: its pixels have {self.bits} bits but none is brighter than {brightest} of "
                f"{self.top}, as if only {max(8, brightest.bit_length())} bits were in use; the file does not record "
                "that (SignificantBits in OME-XML): record it, or save it as 8-bit RGB"
            )

    def to_8_bits(self, samples: np.ndarray) -> np.ndarray:
        """Return samples of any shape as uint8.

        Raises:
            SlideError: one is brighter than the recorded bits allow.
        """
        if self.bits == 8 and samples.dtype == np.uint8:
            return samples
        if int(samples.max(initial=0)) > self.top:
            raise SlideError(
                f"{self._source}: a pixel is {int(samples.max())}, above the {self.top} of the {self.bits} bits that "
                "the file records; correct SignificantBits, or save it as 8-bit RGB"
            )
        return self._lookup[samples]
