"""Patch set: labelled pictures of tissue, with the slide and the part that each belongs to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.images import BadImage, on_image, open_image, to_rgb
from pathplugins.data.patch_sets.texts import Coded, Texts

Part = Literal["train", "valid", "test"]

PARTS: dict[str, Part] = {
    **{"train": "train", "training": "train"},
    **{"val": "valid", "valid": "valid", "validation": "valid"},
    **{"test": "test", "testing": "test"},
}
"""Folder name in lower case -> part."""


class Pictures(Protocol):
    """Pictures that are not files of their own."""

    def read(self, name: str) -> Image.Image:
        """Return the picture of a name, RGB."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PatchSet:
    """Labelled pictures of tissue: arrays and buffers of N samples, no object for each; can be pickled."""

    kind: str
    root: Path
    """Absolute; ``names`` are relative to it."""
    task: Literal["classes", "masks"]
    classes: tuple[str, ...]
    """Label names by id, of ``labels`` or of the values of masks."""
    names: Texts
    """POSIX paths relative to ``root``, each different; ``<file>.h5#<row>`` in an H5 file."""
    labels: np.ndarray
    """Class ids, int64 [N]; -1 where the task is masks."""
    groups: Coded
    """Slide of each sample; ``""`` where it is unknown."""
    parts: Coded
    """``train``, ``valid`` or ``test`` as the folders say; ``""`` where they say nothing."""
    patch_px: int | None = None
    """Width and height that the data set promises, pixels."""
    mpp: float | None = None
    """Microns per pixel."""
    licence: str = ""
    masks: Texts | None = None
    """Mask of each sample, as ``names``."""
    inside: Pictures | None = None
    """What reads the pictures, where they are not files."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Sequence[int] | np.ndarray) -> PatchSet:
        """Return the samples at ``indices`` (int [M], or bool [N]), in that order."""
        picked = np.asarray(indices)
        picked = np.flatnonzero(picked) if picked.dtype == bool else picked.astype(np.int64)
        return dataclasses.replace(
            self,
            names=self.names.take(picked),
            labels=self.labels[picked],
            groups=self.groups.take(picked),
            parts=self.parts.take(picked),
            masks=self.masks and self.masks.take(picked),
        )

    def part(self, name: str) -> PatchSet:
        """Return the samples of ``train``, ``valid`` or ``test``.

        Raises:
            PathPluginsError: the set has none of that part.
        """
        indices = self.parts.where(PARTS.get(name, name))
        if not len(indices):
            there = ", ".join(sorted({*self.parts} - {""})) or "none: make a split with `pathdata patchtcga split`"
            raise PathPluginsError(f"{self.root} has no part {name!r}; its parts are {there}")
        return self.take(indices)

    def read(self, index: int) -> Image.Image:
        """Return a picture, RGB; one that cannot be read is a ``BadImage``."""
        return self.inside.read(self.names[index]) if self.inside else open_image(self.root / self.names[index])

    def file(self, index: int) -> Path | None:
        """Return the file of a picture; None where it lies in an H5 file."""
        return None if self.inside else self.root / self.names[index]

    def mask_file(self, index: int) -> Path | None:
        """Return the file of a mask; None where the task is classes."""
        return None if self.masks is None else self.root / self.masks[index]

    def read_mask(self, index: int) -> np.ndarray:
        """Return the class id of each pixel, uint8 [H, W]: the red channel of the mask.

        Raises:
            BadImage: it cannot be read, or has a value that is no class.
        """
        path = self.mask_file(index)
        if path is None:
            raise PathPluginsError(f"{self.root} ({self.kind}) has labels and no masks; train it as classes")
        mask = on_image(path, lambda image: _red(image, path))
        if (high := int(mask.max())) >= len(self.classes):
            raise BadImage(
                f"{path} has the value {high} in its red channel, expected 0 to {len(self.classes) - 1} "
                f"({', '.join(self.classes)}); correct it or leave the picture out",
                reason="unknown mask value",
            )
        return mask


def _red(image: Image.Image, path: Path) -> np.ndarray:
    """Return the red channel of an open mask, uint8 [H, W]; ids in a palette would come out as its shades of red."""
    if image.mode == "P":
        raise BadImage(
            f"{path} has a palette, expected class ids in the red channel; save it as grey or RGB, such as "
            "Image.fromarray(np.array(mask)).save(...)",
            reason="mask with a palette",
        )
    rgb = to_rgb(image, str(path))
    red, *others = (high for _, high in rgb.getextrema())
    if not red and any(others):
        raise BadImage(
            f"{path} has values in green or blue and none in red, expected class ids in the red channel; save it again",
            reason="mask in another channel",
        )
    return np.array(rgb.getchannel(0))
