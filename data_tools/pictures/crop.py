"""Crop: the middle of a picture, scaled so that it shows a given number of pixels at a given resolution.

Sizes are (w, h); resolutions are microns per pixel.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing
from pathplugins.data.images import on_image, to_rgb

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
"""Suffix in lower case -> format of Pillow."""
_MASK = "_mask"


@dataclass(frozen=True, kw_only=True)
class Crop:
    """What is cut out of every picture, and what becomes of it."""

    size: int
    """Side of the result, pixels at ``to_mpp``."""
    from_mpp: float
    """Resolution of the pictures."""
    to_mpp: float
    """Resolution of the result; not sharper than ``from_mpp``."""
    jpeg_quality: int = 95
    """1 to 100; other formats are lossless."""

    def __post_init__(self) -> None:
        for name in ("size", "from_mpp", "to_mpp"):
            if not getattr(self, name) > 0:
                raise PathPluginsError(
                    f"--{name.replace('_', '-')} must be above 0, got {getattr(self, name)}; correct it"
                )
        if not 1 <= self.jpeg_quality <= 100:
            raise PathPluginsError(f"--jpeg-quality must be in 1 to 100, got {self.jpeg_quality}; correct it")
        if self.to_mpp < self.from_mpp:
            raise PathPluginsError(
                f"--to-mpp {self.to_mpp:g} is sharper than --from-mpp {self.from_mpp:g}, and enlarging adds nothing: "
                f"give --to-mpp {self.from_mpp:g} or more, or cut the slides again"
            )

    @property
    def cut_px(self) -> int:
        """Side of what is cut out, pixels of the picture: 287 for 224 px at 0.5 from 0.39 um/px."""
        return round(self.size * self.to_mpp / self.from_mpp)

    def settings(self) -> str:
        """Return all of it as JSON."""
        return json.dumps(asdict(self), sort_keys=True)


def is_mask(path: Path) -> bool:
    """Return whether a file is a mask by its name, ``<stem>_mask`` in any case."""
    return path.stem.lower().endswith(_MASK)


def picture_of(mask: Path) -> Path:
    """Return the path of the picture of a mask, without its suffix."""
    return mask.with_name(mask.stem[: -len(_MASK)])


def write_crop(source: Path, target: Path, crop: Crop) -> None:
    """Write the crop of one file in the format of its name.

    A picture becomes RGB and is scaled by an antialiased bicubic filter; a mask keeps its mode and values, each pixel
    that of the nearest.

    Raises:
        BadImage: the file cannot be read.
    """
    mask = is_mask(source)
    image = on_image(source, _loaded if mask else lambda opened: to_rgb(opened, str(source)))
    x, y = (round((length - crop.cut_px) / 2) for length in image.size)
    filtering = Image.Resampling.NEAREST if mask else Image.Resampling.BICUBIC
    box = (x, y, x + crop.cut_px, y + crop.cut_px)
    scaled = image.crop(box).resize((crop.size, crop.size), filtering)
    kind = FORMATS[source.suffix.lower()]
    # The second compression of a JPEG should cost little: colours at full resolution.
    options = {"JPEG": {"quality": crop.jpeg_quality, "subsampling": 0}, "TIFF": {"compression": "tiff_adobe_deflate"}}
    with replacing(target) as temporary:
        scaled.save(temporary, format=kind, **options.get(kind, {}))


def _loaded(image: Image.Image) -> Image.Image:
    image.load()
    return image
