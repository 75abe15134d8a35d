"""Image processor of `custom_llava`: image files to normalised tiles, and how many tokens they take."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature
from transformers.image_processing_utils import ImageProcessingMixin

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown
from pathplugins.data.anyres import Size, middle_image, number_of_tiles, square_image, tile_image
from pathplugins.data.bags import stable_seed
from pathplugins.data.images import image_size, open_image, to_rgb
from pathplugins.models.custom_llava.resizing import RESIZERS
from pathplugins.models.selectors import SELECTORS
from pathplugins.published.preprocessing import ASPECT_RATIOS, CLIP_MEAN, CLIP_STD

ImageRef = str | Path | Image.Image

_OF_THE_HOST = ("auto_map", "image_processor_type", "processor_class")  # Transformers writes them beside the settings
_SETTINGS = (
    *("tile_size", "tokens_per_tile", "merged_tiles", "image_aspect_ratio", "image_mean", "image_std"),
    *("interpolation", "fast_resize", "vision_feature_select_mode", "image_seq_length", "seed"),
    *("connector_tokens", "extra_tokens"),
)


class TiledImageProcessor(ImageProcessingMixin):
    """Image files or Pillow images to packed, normalised tiles.

    Args:
        tile_size: S, side of a tile in pixels: what the vision tower takes.
        tokens_per_tile: N, what the tower gives for a tile.
        merged_tiles: an image takes N tokens whatever its tiles, as with a connector that looks across them; False:
            N for each tile.
        image_aspect_ratio: ``anyres``: thumbnail and 4 to 8 tiles, as PA-LLaVA; ``pad``: one tile, the image on a
            square of the mean colour, as LLaVA 1.5; ``square``: one tile, the middle of the image, as CLIP's own
            processor and LLaVA where nothing is said.
        image_mean: of RGB in [0, 1].
        image_std: likewise.
        interpolation: ``bicubic``, as CLIP's; ``bilinear`` for encoders that were trained on it.
        fast_resize: resize by PyTorch's antialiased bicubic, about three times as fast; of a picture's values fewer
            than 1 in 100 are 1 of 255 beside the published ones, fewer than 1 in 10,000 are 2 beside, none more.
            Likewise bilinear.
        vision_feature_select_mode: name of the token selector of the model.
        image_seq_length: token budget of the selector for an image with all its tiles; must be the model's.
        seed: of the random selector.
        connector_tokens: tokens that the model's connector gives for every image; None where it gives one for each.
        extra_tokens: tokens that the connector adds to those of every image.
    """

    model_input_names = ["pixel_values", "tile_counts", "patch_seeds"]  # noqa: RUF012 - host contract

    def __init__(
        self,
        tile_size: int = 224,
        tokens_per_tile: int = 196,
        merged_tiles: bool = True,
        image_aspect_ratio: str = "anyres",
        image_mean: Sequence[float] = CLIP_MEAN,
        image_std: Sequence[float] = CLIP_STD,
        interpolation: str = "bicubic",
        fast_resize: bool = False,
        vision_feature_select_mode: str = "none",
        image_seq_length: int = 1536,
        seed: int = 42,
        connector_tokens: int | None = None,
        extra_tokens: int = 0,
        **kwargs: Any,
    ) -> None:
        for name in kwargs:
            if name not in _OF_THE_HOST:
                raise PathPluginsError(
                    f"{unknown('image processor setting', name, _SETTINGS)}; remove it from preprocessor_config.json, "
                    "or upgrade pathplugins if a newer version wrote it"
                )
        super().__init__(**kwargs)
        self.tile_size = tile_size
        self.tokens_per_tile = tokens_per_tile
        self.merged_tiles = merged_tiles
        self.image_aspect_ratio = image_aspect_ratio
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        self.interpolation = interpolation
        self.fast_resize = fast_resize
        self.vision_feature_select_mode = vision_feature_select_mode
        self.image_seq_length = image_seq_length
        self.seed = seed
        self.connector_tokens = connector_tokens
        self.extra_tokens = extra_tokens
        self._check_settings()

    def _check_settings(self) -> None:
        for name in ("tile_size", "tokens_per_tile"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise PathPluginsError(f"{name} is {getattr(self, name)!r}, expected a positive integer; correct it")
        if self.image_aspect_ratio not in ASPECT_RATIOS:
            raise PathPluginsError(
                f"image_aspect_ratio is {self.image_aspect_ratio!r}, expected 'anyres' (thumbnail and tiles), 'pad' "
                "(all of the image on one square) or 'square' (its middle)"
            )
        if (self.interpolation, self.fast_resize) not in RESIZERS:
            known = sorted({name for name, _ in RESIZERS})
            raise PathPluginsError(f"interpolation is {self.interpolation!r}, expected one of {known}; correct it")
        if len(self.image_mean) != 3 or len(self.image_std) != 3 or min(self.image_std) <= 0:
            raise PathPluginsError(
                f"image_mean is {self.image_mean} and image_std is {self.image_std}, expected a number each for red, "
                "green and blue, image_std above 0"
            )

    def num_image_tokens(self, image: ImageRef) -> int:
        """Return the vision tokens of an image; reads the header of the file, or nothing where all take as many."""
        if self.merged_tiles or self.image_aspect_ratio != "anyres":
            return self.tokens_of(1)
        size = image.size if isinstance(image, Image.Image) else _size_of_file(image)
        return self.tokens_of(number_of_tiles(size, self.tile_size))

    def tokens_of(self, tiles: int) -> int:
        """Return the vision tokens of an image of so many tiles; merged tiles count as one."""
        if self.connector_tokens is not None:
            return self.connector_tokens + self.extra_tokens
        selector = SELECTORS.get(self.vision_feature_select_mode)
        return selector.num_tokens(self.tokens_per_tile * tiles, self.image_seq_length) + self.extra_tokens

    def __call__(
        self, images: Sequence[ImageRef], *, keys: Sequence[str | bytes] | None = None, epoch: int | None = None
    ) -> BatchFeature:
        """Read, tile and normalise.

        Args:
            images: paths of image files, or Pillow images.
            keys: what identifies each sample, for its seed; the file names when None.
            epoch: while training, so that each epoch draws other tokens; None in evaluation and generation.

        Returns:
            ``pixel_values`` float32 [T, 3, S, S], per image the thumbnail and then its tiles row by row;
            ``tile_counts`` int64 [I], the thumbnail included; ``patch_seeds`` int64 [I].
        """
        if keys is None:
            keys = ["" if isinstance(image, Image.Image) else Path(image).name for image in images]
        draw = "evaluation" if epoch is None else f"epoch {epoch}"
        seeds = [stable_seed(self.seed, draw, key) for key in keys]
        tiles = [self._normalised(self._tiles(image)) for image in images]
        packed = tiles[0] if len(tiles) == 1 else torch.cat(tiles)
        counts = torch.tensor([len(each) for each in tiles])
        return BatchFeature({"pixel_values": packed, "tile_counts": counts, "patch_seeds": torch.tensor(seeds)})

    def null_inputs(self) -> BatchFeature:
        """Return one black tile, for a batch without images.

        Every rank must run the tower, or ZeRO-3 waits for ever. Its tokens stand behind attention mask 0 and label
        -100, so that nothing is learnt from them.
        """
        black = np.zeros((1, 3, self.tile_size, self.tile_size), np.float32)
        one = torch.ones(1, dtype=torch.int64)
        return BatchFeature({"pixel_values": self._normalised(black), "tile_counts": one, "patch_seeds": one * 0})

    @property
    def null_tokens(self) -> int:
        """Vision tokens of `null_inputs`."""
        return self.tokens_of(1)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, as in ``preprocessor_config.json``."""
        return {**{name: getattr(self, name) for name in _SETTINGS}, "image_processor_type": type(self).__name__}

    def _tiles(self, image: ImageRef) -> np.ndarray:
        """Return float32 [tiles of the image, 3, S, S], values of 0 to 255."""
        rgb = to_rgb(image) if isinstance(image, Image.Image) else open_image(image)
        resizer = RESIZERS[self.interpolation, self.fast_resize]
        if self.image_aspect_ratio == "anyres":
            return tile_image(rgb, self.tile_size, resizer=resizer)
        if self.image_aspect_ratio == "square":
            return middle_image(rgb, self.tile_size, resizer=resizer)
        red, green, blue = (int(255 * mean) for mean in self.image_mean)
        return square_image(rgb, self.tile_size, (red, green, blue), resizer=resizer)

    def _normalised(self, tiles: np.ndarray) -> torch.Tensor:
        """Compute ``(x / 255 - mean) / std`` in place, as one multiplication and one subtraction; [T, 3, S, S]."""
        mean, std = (np.array(values)[:, None, None] for values in (self.image_mean, self.image_std))
        tiles *= (1 / (255 * std)).astype(np.float32)
        tiles -= (mean / std).astype(np.float32)
        return torch.from_numpy(tiles)


def _size_of_file(path: str | Path) -> Size:
    path = Path(path)
    return _known_size(str(path), path.stat().st_mtime_ns if path.exists() else 0)


@functools.lru_cache(maxsize=65536)
def _known_size(path: str, mtime_ns: int) -> Size:
    del mtime_ns  # part of the key: a file written anew is looked at anew
    return image_size(path)
