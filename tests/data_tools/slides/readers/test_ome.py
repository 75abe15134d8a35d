"""OME-XML: channels, bits and size of a pixel of every image, in any unit."""

import pytest

from pathplugins.data_tools.slides.readers.ome import ome_images

XML = """<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Image ID="Image:0" Name="label"><Pixels SizeX="9" SizeY="7"><Channel ID="Channel:0:0"/></Pixels></Image>
<Image ID="Image:1" Name="scan"><Pixels SignificantBits="12" PhysicalSizeX="{x}" PhysicalSizeXUnit="{unit}"
 PhysicalSizeY="{y}" PhysicalSizeYUnit="{unit}"><Channel Name="Red"/><Channel Name="Green"/></Pixels></Image></OME>"""


@pytest.mark.parametrize(
    ("x", "y", "unit", "mpp"),
    [
        ("0.25", "0.5", "\u00b5m", (0.25, 0.5)),
        ("0.25", "0.5", "\u03bcm", (0.25, 0.5)),  # the Greek letter
        ("250", "500", "nm", (0.25, 0.5)),
        ("0.00025", "0.0005", "mm", (0.25, 0.5)),
        ("1", "1", "pixel", None),
        ("0", "1", "um", None),
    ],
)
def test_each_image_is_described(x: str, y: str, unit: str, mpp: tuple[float, float] | None) -> None:
    label, scan = ome_images(XML.format(x=x, y=y, unit=unit))
    assert (label.name, label.channels, label.significant_bits, label.mpp) == ("label", ("",), None, None)
    assert (scan.name, scan.channels, scan.significant_bits) == ("scan", ("Red", "Green"), 12)
    assert scan.mpp == (None if mpp is None else pytest.approx(mpp))


def test_what_is_no_xml_describes_nothing() -> None:
    assert ome_images("ImageJ=1.53\nimages=3") == []
