"""Units and coordinate frames, as types.

Sizes are (width, height), arrays ``[H, W, C]``. Only level-0 pixels are written to disk.
"""

from typing import NewType

Mpp = NewType("Mpp", float)
"""Microns per pixel."""

Px0 = NewType("Px0", int)
"""Pixels in the level-0 frame (the sharpest level of the slide)."""
