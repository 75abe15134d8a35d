"""Slides, and outlines drawn on them."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reliability.targets.target import Target, content

SLIDE_PX = (512, 384)
DPI = (50_800, 50_800)  # 0.5 um/px
APERIO = "Aperio Image Library v12|AppMag = 20|MPP = 0.5"


def slides(folder: Path) -> list[Target]:
    """Return the targets of slides, and of outlines drawn on them."""
    from pathplugins.data_tools.slides.demo import write_demo_slide
    from pathplugins.data_tools.slides.resolution import resolve
    from pathplugins.data_tools.slides.slide import Slide
    from pathplugins.data_tools.tissue.own_mask import OwnMask, load_mask

    square = {"type": "Polygon", "coordinates": [[[10, 10], [200, 10], [200, 150], [10, 150], [10, 10]]]}
    several = {"type": "MultiPolygon", "coordinates": [square["coordinates"], [[[0, 0], [9, 0], [9, 9], [0, 0]]]]}
    named = {"classification": {"name": "Tumor", "color": [1, 2, 3]}}
    shapes = [{"type": "Feature", "geometry": shape, "properties": named} for shape in (square, several)]
    geojson = json.dumps({"type": "FeatureCollection", "features": shapes}).encode()

    def mask(path: Path) -> None:
        own = OwnMask(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        load_mask(own, SLIDE_PX, (96, 128))

    def slide(path: Path) -> None:
        with Slide(path) as opened:
            resolve(opened)
            opened.thumbnail((64, 48))
            opened.read(0, 0, (256, 256), (256, 256))

    def write(name: str, **options: Any) -> dict[str, bytes]:
        return {f"a.{name}": content(folder, f"a.{name}", lambda path: _tiff(path, **options))}

    formats = {
        "OME-TIFF, all bytes": write("ome.tif", ome=True, compression="lzw"),
        "JPEG 2000 TIFF, all bytes": write("j2k.tif", compression="jpeg2000", compressionargs={"level": 40}),
        "JPEG 2000 SVS, all bytes": write("svs", compression="aperio_jp2000_rgb", description=APERIO),
        "WebP TIFF, all bytes": write("webp.tif", compression="webp"),
        "16 bit TIFF, all bytes": write("deep.tif", deep=True, compression="zlib", predictor=True),
        "DICOM file, all bytes": {"a.dcm": _dicom(folder)},
        "CZI, all bytes": {"a.czi": content(folder, "a.czi", _czi)},
        "PNG, all bytes": {"a.png": content(folder, "a.png", lambda path: _image().save(path, dpi=DPI))},
        "JPEG, all bytes": {"a.jpg": content(folder, "a.jpg", lambda path: _image().save(path, dpi=DPI))},
    }
    drawn = {"m.png": content(folder, "m.png", lambda path: _image().convert("1").save(path))}
    svs = content(folder, "demo.svs", lambda path: write_demo_slide(path, SLIDE_PX))
    return [
        Target(name="GeoJSON", read=mask, seeds={"a.geojson": geojson}, text=True),
        Target(name="TIFF, all bytes", read=slide, seeds={"a.svs": svs}, apart=True),
        *(Target(name=name, read=slide, seeds=seeds, apart=True) for name, seeds in formats.items()),
        Target(name="mask image", read=mask, seeds=drawn),
    ]


def _pixels() -> np.ndarray:
    """Return uint8 ``[384, 512, 3]`` of smooth waves."""
    y, x = np.mgrid[0 : SLIDE_PX[1], 0 : SLIDE_PX[0]]
    return np.stack([150 + 90 * np.sin(x / 31 + y / 57 + shift) for shift in (0, 1.1, 2.3)], axis=2).astype(np.uint8)


def _image() -> Any:
    from PIL import Image

    return Image.fromarray(_pixels())


def _tiff(path: Path, *, ome: bool = False, deep: bool = False, **options: Any) -> None:
    """Write tiles in two levels, the second one of half the size."""
    import tifffile

    pixels = _pixels().astype(np.uint16) * 257 if deep else _pixels()
    told = {"metadata": {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5} if ome else None}
    common = {"photometric": "rgb", "tile": (128, 128), **options}
    with tifffile.TiffWriter(path, ome=ome) as file:
        scale = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
        file.write(pixels, subifds=int(ome), **told, **common, **({} if ome else scale))
        file.write(pixels[::2, ::2].copy(), subfiletype=1, **common, **({} if ome else {"metadata": None}))


def _dicom(folder: Path) -> bytes:
    sys.path.append(str(Path(__file__).resolve().parents[3] / "tests" / "fixtures"))
    from dicom_slides import write_series

    write_series(folder / "series", [_pixels()], mpp=0.5, tiles="jpeg")
    return next(path for path in sorted((folder / "series").iterdir())).read_bytes()


def _czi(path: Path) -> None:
    from pylibCZIrw import czi

    with czi.create_czi(str(path), exist_ok=True) as file:
        file.write(_pixels()[..., ::-1].copy())
        file.write_metadata(document_name="a", scale_x=5e-7, scale_y=5e-7)
