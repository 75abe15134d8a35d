"""List the slide formats: what reads each, which files of it the tests write and compare, and what is not read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Format:
    """One kind of slide file."""

    name: str
    suffixes: tuple[str, ...]
    readers: tuple[str, ...]
    """Packages, in the order in which they are tried."""
    extra: str = "wsi"
    """The extra of pathplugins that brings the last reader."""
    checked: tuple[str, ...] = ()
    """Files that the tests write in this format, reading back pixels and microns per pixel."""
    limits: str


FORMATS = (
    Format(
        name="Aperio SVS",
        suffixes=(".svs",),
        readers=("openslide", "tifffile"),
        checked=("JPEG", "WebP"),
        limits="JPEG tiles are decoded by simplejpeg or imagecodecs, several times faster, with the same pixels",
    ),
    Format(
        name="tiled TIFF",
        suffixes=(".tif", ".tiff"),
        readers=("openslide", "tifffile"),
        checked=("LZW", "JPEG 2000", "WebP", "JPEG XL", "16 bits", "three grey directories"),
        limits="16-bit samples are scaled by the bits in use, refused where those are not recorded and all are dark",
    ),
    Format(
        name="OME-TIFF",
        suffixes=(".ome.tif", ".ome.tiff"),
        readers=("openslide", "tifffile"),
        checked=("sub-directories", "channels as pages", "planes", "12 bits", "label before the scan", "focal planes"),
        limits="the largest image and the middle focal plane; no time points, fluorescence or image in several files",
    ),
    Format(
        name="DICOM",
        suffixes=(".dcm", ".dicom", "a folder"),
        readers=("openslide", "wsidicom"),
        extra="readers",
        checked=("JPEG", "JPEG 2000", "JPEG-LS"),
        limits="the files of a series lie in one folder; 8-bit colours; the middle focal plane",
    ),
    Format(
        name="OME-Zarr",
        suffixes=(".zarr",),
        readers=("zarr",),
        extra="readers",
        checked=("version 0.4", "version 0.5", "16 bits"),
        limits="a folder, not a ZIP; the first image of a bioformats2raw layout; the middle focal plane; no plates",
    ),
    Format(
        name="CZI",
        suffixes=(".czi",),
        readers=("openslide", "pylibCZIrw"),
        extra="readers",
        checked=("one plane", "focal planes", "16 bits", "two scenes"),
        limits="all scenes as one picture; the middle focal plane; no fluorescence",
    ),
    Format(
        name="NDPI",
        suffixes=(".ndpi",),
        readers=("openslide",),
        checked=("JPEG without restart markers",),
        limits="the test file is small and has no focal planes; of several OpenSlide reads the middle one",
    ),
    Format(
        name="MRXS, SCN, BIF, VMS, VMU, SVSLIDE, Philips TIFF",
        suffixes=(".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".tiff"),
        readers=("openslide",),
        limits="as OpenSlide reads them; no free library writes them, so no test here does",
    ),
    Format(
        name="plain image",
        suffixes=(".png", ".jpg", ".jpeg", ".tif"),
        readers=("pillow",),
        checked=("PNG",),
        limits="decoded whole; given by name, or in a folder without slides",
    ),
)
"""OpenSlide comes first wherever it reads a format right; later readers take the files that it refuses or misreads."""


def format_table() -> list[tuple[str, ...]]:
    """Return the table, its heading first."""
    rows = [("format", "files", "read by", "extra", "checked with", "limits")]
    for row in FORMATS:
        checked = ", ".join(row.checked) or "nothing here"
        rows.append((row.name, " ".join(row.suffixes), ", then ".join(row.readers), row.extra, checked, row.limits))
    return rows
