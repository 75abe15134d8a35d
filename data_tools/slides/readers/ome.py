"""Read from OME-XML how the pixels of an image are to be taken: names of channels, bits in use, size of a pixel."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

MICRONS = {"nm": 1e-3, "µm": 1.0, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "in": 25400.0}


@dataclass(frozen=True, kw_only=True)
class OmeImage:
    """One image of an OME file."""

    name: str
    channels: tuple[str, ...]
    """The name of every channel; empty where it has none."""
    significant_bits: int | None
    mpp: tuple[float, float] | None
    """Microns per pixel across and down."""


NOT_DESCRIBED = OmeImage(name="", channels=(), significant_bits=None, mpp=None)


def ome_images(xml: str) -> list[OmeImage]:
    """Return the images that OME-XML describes, in its order; empty for XML that cannot be parsed."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return []
    found = []
    for image in _children(root, "Image"):
        for pixels in _children(image, "Pixels"):
            names = [channel.get("Name") or "" for channel in _children(pixels, "Channel")]
            bits = pixels.get("SignificantBits") or ""
            found.append(
                OmeImage(
                    name=image.get("Name") or "",
                    channels=tuple(names),
                    significant_bits=int(bits) if bits.isdecimal() else None,
                    mpp=_mpp(pixels),
                )
            )
    return found


def _children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Return the children of that name, in whatever version of the OME schema."""
    return [child for child in element if child.tag.rpartition("}")[2] == name]


def _mpp(pixels: ElementTree.Element) -> tuple[float, float] | None:
    """Return the size of a pixel; None where it is not given in a unit of length."""
    sizes = []
    for axis in "XY":
        unit = MICRONS.get(pixels.get(f"PhysicalSize{axis}Unit", "µm").replace("μ", "µ"))
        try:
            size = float(pixels.get(f"PhysicalSize{axis}", ""))
        except ValueError:
            return None
        if unit is None or not size > 0:
            return None
        sizes.append(size * unit)
    return sizes[0], sizes[1]
