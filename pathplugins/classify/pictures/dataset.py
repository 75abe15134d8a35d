"""Dataset of labelled pictures: each a scaled crop in bytes, with the draws that the batch step needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from pathplugins.classify.pictures.augment import EVAL, Augment
from pathplugins.classify.pictures.decode import cut, cut_mask, decode, snapped
from pathplugins.classify.pictures.draws import Box, draw, draw_box, generator
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.images import BadImage, on_image

if TYPE_CHECKING:
    from pathplugins.data.patch_sets import PatchSet


class PatchDataset(Dataset[dict[str, torch.Tensor]]):
    """Pictures of a patch set, cut and scaled; masks, where the set has them, cut at the same place.

    A sample is ``pixels`` uint8 ``[3, S, S]``, ``draws`` float32 ``[9]`` (see `Draw`), ``index`` int64, and ``labels``:
    int64, or the mask as uint8 ``[S, S]``. With V > 1 views ``pixels`` is ``[V, 3, S, S]`` and ``draws`` ``[V, 9]``.
    """

    def __init__(
        self,
        patch_set: PatchSet,
        *,
        size: int,
        augment: Augment | None = None,
        centre_px: int | None = None,
        seed: int = 0,
        epoch: int = 0,
        views: int = 1,
    ) -> None:
        """Take the pictures of ``patch_set``.

        Args:
            patch_set: The pictures.
            size: Side S of the output, pixels.
            augment: What is drawn at random; None draws nothing.
            centre_px: Side of the middle part that is taken where ``augment`` cuts the centre; None takes all.
            seed: Of all draws.
            epoch: Of all draws; see `set_epoch`.
            views: V, how many times each picture is drawn.

        Raises:
            PathPluginsError: the pictures are smaller than what is cut out of them; or masks with several views.
        """
        self.patch_set, self.size, self.augment = patch_set, size, augment or EVAL
        self.seed, self.views = seed, views
        self._px = {"centre": centre_px, "window": size, "resized": None}[self.augment.crop]
        self._epoch = torch.tensor(epoch).share_memory_()  # workers that outlive an epoch see the next one
        if patch_set.task == "masks" and views > 1:
            raise PathPluginsError(f"{patch_set.root} has masks: wanted one view of each picture, got {views}")
        if patch_set.patch_px is not None:
            self.check_size((patch_set.patch_px, patch_set.patch_px), str(patch_set.root))

    def __len__(self) -> int:
        return len(self.patch_set)

    def set_epoch(self, epoch: int) -> None:
        """Make the draws those of ``epoch``, in all worker processes; trainers call this."""
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Return a sample.

        Raises:
            PathPluginsError: its picture or mask cannot be used, after several tries; the message names the file.
        """
        path, name = self.patch_set.file(index), self.patch_set.names[index]
        sources = [generator(self.seed, int(self._epoch), index, view) for view in range(self.views)]

        def read(image: Image.Image) -> tuple[np.ndarray, int, list[Box], tuple[int, int]]:
            size = image.size
            self.check_size(size, str(path or name))
            boxes = [draw_box(self.augment, size, source, self._px) for source in sources]
            pixels, factor = decode(image, str(path or name), boxes, self.size)
            return pixels, factor, [snapped(box, size, factor) for box in boxes], size

        pixels, factor, boxes, size = read(self.patch_set.read(index)) if path is None else on_image(path, read)
        views = [cut(pixels, box, factor, self.size) for box in boxes]
        draws = torch.tensor([draw(self.augment, source) for source in sources], dtype=torch.float32)  # [V, 9]
        return {
            "pixels": views[0] if self.views == 1 else torch.stack(views),
            "draws": draws[0] if self.views == 1 else draws,
            "labels": self._label(index, boxes[0], size),
            "index": torch.tensor(index),
        }

    def _label(self, index: int, box: Box, size: tuple[int, int]) -> torch.Tensor:
        if self.patch_set.task != "masks":
            return torch.tensor(int(self.patch_set.labels[index]))
        mask = self.patch_set.read_mask(index)
        check_mask(mask.shape[::-1], size, str(self.patch_set.mask_file(index)))
        return cut_mask(mask, box, self.size)

    def check_size(self, size: tuple[int, int], name: str) -> None:
        """Raise a ``BadImage`` if a picture of ``size`` (w, h) is smaller than what is cut out of it."""
        if self._px is not None and min(size) < self._px:
            key = "centre_px" if self.augment.crop == "centre" else "size"
            raise BadImage(
                f"{name}: {size[0]} x {size[1]} px, but {self._px} px are cut out of it; lower {key}, or leave it out",
                reason="smaller than the crop",
            )


def check_mask(size: tuple[int, int], wanted: tuple[int, int], name: str) -> None:
    """Raise a ``BadImage`` if a mask of ``size`` (w, h) has not that of its picture, ``wanted``."""
    if size != wanted:
        raise BadImage(
            f"{name}: {size[0]} x {size[1]} px, but its picture has {wanted[0]} x {wanted[1]}; replace one of them",
            reason="mask of another size",
        )
