"""Read from OME-XML what says how the pixels of an image are to be taken: names of channels, bits in use."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class OmeImage:
    """One image of an OME file."""

    name: str
    channels: tuple[str, ...]
    """The name of every channel; empty where it has none."""
    significant_bits: int | None


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
                )
            )
    return found


def _children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Return the children of that name, in whatever version of the OME schema."""
    return [child for child in element if child.tag.rpartition("}")[2] == name]
