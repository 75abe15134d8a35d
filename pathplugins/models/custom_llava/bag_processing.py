"""Image processor of `custom_llava` for slides: feature bags to packed tensors, and how many tokens they take."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature
from transformers.image_processing_utils import ImageProcessingMixin

from pathplugins.core.errors import BagError, PathPluginsError
from pathplugins.data.bags import BagContract, BagInfo, Sampling, inspect_bag, read_bag, sample_rows, stable_seed
from pathplugins.data.bags.encoders import check_encoder
from pathplugins.data.case_shares import Shares, case_shares
from pathplugins.models.selectors import SELECTORS
from pathplugins.published.slide_encoders import GIGAPATH

_EVALUATION = "evaluation"
"""The draw of rows in evaluation and generation, beside those of the epochs."""


class CustomLlavaImageProcessor(ImageProcessingMixin):
    """H5 feature bags to packed tensors.

    Args:
        feature_dim: D, width of the patch features the tower takes; this and the next five are its `BagContract`.
        frame_mpp: microns per pixel of the positions the tower takes; None where it asks for none.
        tile_px: side of a cell of its grid, pixels at ``frame_mpp``.
        grid: cells per side of its grid, if it has one.
        expects_encoder: patch encoder the tower was trained on; None takes features of any.
        slide_token: the tower gives a token of the whole slide besides those of its patches.
        allow_other_encoder: take bags that name another encoder all the same.
        patches_per_wsi: rows read from a bag, at most; all of them when None.
        patches_sampling: which rows of a larger bag: ``random``, others in each epoch; ``linspace``, evenly from the
            first to the last; ``first``, those that stand first.
        patches_per_case: rows read of all bags of a sample, at most; None for no such limit.
        case_shares: how they are shared over the bags, see `pathplugins.data.case_shares`.
        patches_block: rows drawn next to each other (strips of the slide), which slow storage reads many times faster;
            1 draws each by itself.
        vision_feature_select_mode: name of the token selector of the model.
        image_seq_length: token budget of the selector; must be the model's.
        connector_tokens: tokens that the model's connector gives for every slide; None where it gives one for each.
        extra_tokens: tokens that the connector adds to those of every slide.
        max_images: bags that a sample may have, where the connector has markers for so many; None for any number.
        coords_mpp: microns per pixel of the coordinates of bags that do not say.
        compat_coords_yx: give the tower (y, x), as the published WSI-LLaVA code does; transposes the slide.
        seed: of the rows drawn from large bags and of the random selector.
    """

    model_input_names = ["patch_features", "patch_coords", "patch_counts", "patch_seeds"]  # noqa: RUF012 - host contract

    def __init__(
        self,
        feature_dim: int = GIGAPATH.feature_dim,
        patches_per_wsi: int | None = 2048,
        patches_block: int = 1,
        vision_feature_select_mode: str = "random_sample",
        image_seq_length: int = 1536,
        coords_mpp: float | None = None,
        compat_coords_yx: bool = False,
        seed: int = 42,
        frame_mpp: float | None = GIGAPATH.frame_mpp,
        tile_px: int = GIGAPATH.tile_px,
        grid: int | None = GIGAPATH.grid,
        expects_encoder: str | None = None,
        allow_other_encoder: bool = False,
        slide_token: bool = True,
        patches_sampling: Sampling = "random",
        connector_tokens: int | None = None,
        extra_tokens: int = 0,
        patches_per_case: int | None = None,
        case_shares: Shares = "even",
        max_images: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.feature_dim = feature_dim
        self.frame_mpp = frame_mpp
        self.tile_px = tile_px
        self.grid = grid
        self.expects_encoder = expects_encoder
        self.allow_other_encoder = allow_other_encoder
        self.patches_per_wsi = patches_per_wsi
        self.patches_block = patches_block
        self.vision_feature_select_mode = vision_feature_select_mode
        self.image_seq_length = image_seq_length
        self.coords_mpp = coords_mpp
        self.compat_coords_yx = compat_coords_yx
        self.seed = seed
        self.slide_token = slide_token
        self.patches_sampling = patches_sampling
        self.connector_tokens = connector_tokens
        self.extra_tokens = extra_tokens
        self.patches_per_case = patches_per_case
        self.case_shares = case_shares
        self.max_images = max_images

    @property
    def contract(self) -> BagContract:
        """What the tower expects of a bag."""
        return BagContract(**{item.name: getattr(self, item.name) for item in fields(BagContract)})

    @property
    def needs_positions(self) -> bool:
        """Whether the tower or the token selector asks where the patches lie."""
        return self.contract.needs_positions or SELECTORS.get(self.vision_feature_select_mode).needs_positions

    def num_image_tokens(self, bag: str | Path) -> int:
        """Return the vision tokens of a bag, the slide's CLS included; reads the metadata of its H5 only.

        Raises:
            BagError: a bag that cannot be read, or that names another encoder than the tower expects.
        """
        return self.sample_tokens([bag])[0]

    def sample_tokens(self, bags: Sequence[str | Path]) -> list[int]:
        """Return the vision tokens of each bag of one sample, see `num_image_tokens`.

        Raises:
            BagError: as of `num_image_tokens`.
            PathPluginsError: there are more bags than a sample may have.
        """
        rows = []
        for path in map(Path, bags):
            info = _info_of(str(path), path.stat().st_mtime_ns if path.exists() else 0, self.needs_positions)
            self._check_encoder(info)
            rows.append(info.rows)
        return [self.tokens_of(read) for read in self.rows_of_sample(rows)]

    def rows_of_sample(self, rows: Sequence[int]) -> list[int]:
        """Return how many rows are read of each bag of one sample, of how many it has."""
        if self.max_images is not None and len(rows) > self.max_images:
            raise PathPluginsError(
                f"a sample has {len(rows)} slides, there are markers for {self.max_images}; give it fewer, or compose "
                "anew with a larger max_slides in projector_config"
            )
        most = self.patches_per_wsi
        return case_shares(
            [*rows] if most is None else [min(each, most) for each in rows], self.patches_per_case, self.case_shares
        )

    def _check_encoder(self, info: BagInfo) -> None:
        if not self.allow_other_encoder:
            check_encoder(info, self.expects_encoder)

    def tokens_of(self, rows: int) -> int:
        """Return the vision tokens of a bag of ``rows`` patches, alone in its sample."""
        if self.connector_tokens is not None:
            return self.connector_tokens + self.extra_tokens
        (read,) = self.rows_of_sample([rows])
        selector = SELECTORS.get(self.vision_feature_select_mode)
        return int(self.slide_token) + selector.num_tokens(read, self.image_seq_length) + self.extra_tokens

    def __call__(
        self,
        images: Sequence[str | Path],
        *,
        keys: Sequence[str | bytes] | None = None,
        epoch: int | None = None,
        samples: Sequence[int] | None = None,
    ) -> BatchFeature:
        """Read bags.

        Args:
            images: paths of H5 bags.
            keys: what identifies each sample, for its seed; the file names when None.
            epoch: while training, so that each epoch draws other rows; None in evaluation and generation, where a
                sample always gets the same ones.
            samples: bags of each sample, which add up to all; a sample each when None.

        Returns:
            ``patch_features`` [sum N, D] as stored, ``patch_coords`` [sum N, 2] int64 (x, y) pixels at
            ``frame_mpp`` (as stored where it is None, -1 where a bag has none), ``patch_counts`` [I] int64,
            ``patch_seeds`` [I] int64.

        Raises:
            BagError: a bag that cannot be read, of another width, or of another encoder than the tower expects.
        """
        keys = keys if keys is not None else [Path(image).name for image in images]
        draw = _EVALUATION if epoch is None else f"epoch {epoch}"
        features, coords, counts, seeds = [], [], [], []
        infos = [inspect_bag(image, positions=self.needs_positions) for image in images]
        most = self._read_of_each([info.rows for info in infos], samples)
        for image, key, info, share in zip(images, keys, infos, most, strict=True):
            seed = stable_seed(self.seed, draw, key)
            if self.feature_dim not in (None, info.width):
                raise BagError(
                    f"{image}: features are {info.width} wide, the vision tower takes {self.feature_dim}; extract them "
                    "with the encoder the tower was trained on"
                )
            self._check_encoder(info)
            rows = self._drawn(info, seed, share)
            where = {"coords_mpp": self.coords_mpp, "frame_mpp": self.frame_mpp, "positions": self.needs_positions}
            bag = read_bag(image, rows, **where)
            features.append(torch.from_numpy(bag.features))  # [N, D]
            xy = bag.coords_xy[:, ::-1] if self.compat_coords_yx else bag.coords_xy
            coords.append(torch.from_numpy(np.ascontiguousarray(xy)))  # [N, 2]
            counts.append(len(rows))
            seeds.append(seed)
        return BatchFeature(
            {
                "patch_features": _packed(features),
                "patch_coords": _packed(coords),
                "patch_counts": torch.tensor(counts),
                "patch_seeds": torch.tensor(seeds),
            }
        )

    def rows_read(self, bag: str | Path) -> np.ndarray:
        """Return which rows of a bag are read in evaluation and generation: [N] int64, ascending."""
        info = inspect_bag(bag, positions=self.needs_positions)
        return self._drawn(info, stable_seed(self.seed, _EVALUATION, Path(bag).name), *self.rows_of_sample([info.rows]))

    def _read_of_each(self, rows: list[int], samples: Sequence[int] | None) -> list[int]:
        """Return how many rows are read of each bag of a batch."""
        read, start = [], 0
        for count in [1] * len(rows) if samples is None else samples:
            read += self.rows_of_sample(rows[start : start + count])
            start += count
        return read

    def _drawn(self, info: BagInfo, seed: int, most: int) -> np.ndarray:
        return sample_rows(info.rows, most, seed, block=self.patches_block, sampling=self.patches_sampling)

    @property
    def null_tokens(self) -> int:
        """Vision tokens of `null_inputs`."""
        return self.tokens_of(1)

    def null_inputs(self) -> BatchFeature:
        """Return one patch of zeros, for a batch without images.

        Every rank must run the tower, or ZeRO-3 waits for ever. Its tokens stand behind attention mask 0 and label
        -100, so that nothing is learnt from them.
        """
        return BatchFeature(
            {
                "patch_features": torch.zeros(1, self.feature_dim),
                "patch_coords": torch.zeros(1, 2, dtype=torch.int64),
                "patch_counts": torch.ones(1, dtype=torch.int64),
                "patch_seeds": torch.zeros(1, dtype=torch.int64),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, as in ``preprocessor_config.json``."""
        return {
            **{k: v for k, v in vars(self).items() if not k.startswith("_")},
            "image_processor_type": type(self).__name__,
        }


def _packed(parts: list[torch.Tensor]) -> torch.Tensor:
    """Return the rows of all bags behind each other; those of a lone one are not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@functools.lru_cache(maxsize=65536)
def _info_of(path: str, mtime_ns: int, positions: bool) -> BagInfo:
    del mtime_ns  # part of the key: a bag written anew is looked at anew
    return inspect_bag(path, positions=positions)
