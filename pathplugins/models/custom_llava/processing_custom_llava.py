"""Processor of `custom_llava`: the one place that knows how many vision tokens an image takes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import snapshot_download
from transformers import AutoTokenizer, BatchFeature, ProcessorMixin
from transformers.image_processing_utils import ImageProcessingMixin

from pathplugins.core.errors import BagError, PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.core.registry import Registry
from pathplugins.data.bags import BagContract, BagInfo, inspect_bag, read_bag, sample_rows, stable_seed
from pathplugins.data.bags.encoders import check_encoder
from pathplugins.data.llava_format import CHUNKED
from pathplugins.models.custom_llava.tokenizer_files import make_portable
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.towers import tower_expects
from pathplugins.published.slide_encoders import GIGAPATH

PLACEHOLDER = "<image>"
"""What stands for one image in the text of a record, whatever the vocabulary calls its entry."""


class CustomLlavaImageProcessor(ImageProcessingMixin):
    """H5 feature bags to packed tensors.

    Args:
        feature_dim: D, width of the patch features the tower takes; this and the next four are its `BagContract`.
        frame_mpp: microns per pixel of the positions the tower takes.
        tile_px: side of a cell of its grid, pixels at ``frame_mpp``.
        grid: cells per side of its grid, if it has one.
        expects_encoder: patch encoder the tower was trained on; None takes features of any.
        allow_other_encoder: take bags that name another encoder all the same.
        patches_per_wsi: rows read from a bag, at most; all of them when None.
        patches_block: rows drawn next to each other (strips of the slide), which slow storage reads many times faster;
            1 draws each by itself.
        vision_feature_select_mode: name of the token selector of the model.
        image_seq_length: token budget of the selector; must be the model's.
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
        frame_mpp: float = GIGAPATH.frame_mpp,
        tile_px: int = GIGAPATH.tile_px,
        grid: int | None = GIGAPATH.grid,
        expects_encoder: str | None = None,
        allow_other_encoder: bool = False,
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

    @property
    def contract(self) -> BagContract:
        """What the tower expects of a bag."""
        return BagContract(**{item.name: getattr(self, item.name) for item in fields(BagContract)})

    def num_image_tokens(self, bag: str | Path) -> int:
        """Return the vision tokens of a bag, the slide's CLS included; reads the metadata of its H5 only.

        Raises:
            BagError: a bag that cannot be read, or that names another encoder than the tower expects.
        """
        path = Path(bag)
        info = _info_of(str(path), path.stat().st_mtime_ns if path.exists() else 0)
        self._check_encoder(info)
        return self.tokens_of(info.rows)

    def _check_encoder(self, info: BagInfo) -> None:
        if not self.allow_other_encoder:
            check_encoder(info, self.expects_encoder)

    def tokens_of(self, rows: int) -> int:
        """Vision tokens of a bag of ``rows`` patches."""
        read = rows if self.patches_per_wsi is None else min(rows, self.patches_per_wsi)
        selector = SELECTORS.get(self.vision_feature_select_mode)
        return 1 + selector.num_tokens(read, self.image_seq_length)

    def __call__(
        self, images: Sequence[str | Path], *, keys: Sequence[str | bytes] | None = None, epoch: int | None = None
    ) -> BatchFeature:
        """Read bags.

        Args:
            images: paths of H5 bags.
            keys: what identifies each sample, for its seed; the file names when None.
            epoch: while training, so that each epoch draws other rows; None in evaluation and generation, where a
                sample always gets the same ones.

        Returns:
            ``patch_features`` [sum N, D] as stored, ``patch_coords`` [sum N, 2] int64 (x, y) pixels at
            ``frame_mpp``, ``patch_counts`` [I] int64, ``patch_seeds`` [I] int64.

        Raises:
            BagError: a bag that cannot be read, of another width, or of another encoder than the tower expects.
        """
        keys = keys if keys is not None else [Path(image).name for image in images]
        draw = "evaluation" if epoch is None else f"epoch {epoch}"
        features, coords, counts, seeds = [], [], [], []
        for image, key in zip(images, keys, strict=True):
            seed = stable_seed(self.seed, draw, key)
            info = inspect_bag(image)
            if info.width != self.feature_dim:
                raise BagError(
                    f"{image}: features are {info.width} wide, the vision tower takes {self.feature_dim}; extract them "
                    "with the encoder the tower was trained on"
                )
            self._check_encoder(info)
            rows = sample_rows(info.rows, self.patches_per_wsi, seed, block=self.patches_block)
            bag = read_bag(image, rows, coords_mpp=self.coords_mpp, frame_mpp=self.frame_mpp)
            features.append(torch.from_numpy(bag.features))  # [N, D]
            xy = bag.coords_xy[:, ::-1] if self.compat_coords_yx else bag.coords_xy
            coords.append(torch.from_numpy(np.ascontiguousarray(xy)))  # [N, 2]
            counts.append(len(rows))
            seeds.append(seed)
        return BatchFeature(
            {
                "patch_features": torch.cat(features),
                "patch_coords": torch.cat(coords),
                "patch_counts": torch.tensor(counts),
                "patch_seeds": torch.tensor(seeds),
            }
        )

    @property
    def null_tokens(self) -> int:
        """Vision tokens of `null_inputs`."""
        return self.tokens_of(1)

    def null_inputs(self) -> BatchFeature:
        """One patch of zeros, for a batch without images.

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
        """Settings, as in ``preprocessor_config.json``."""
        return {
            **{k: v for k, v in vars(self).items() if not k.startswith("_")},
            "image_processor_type": type(self).__name__,
        }


BAGS = "CustomLlavaImageProcessor"
IMAGE_PROCESSORS = Registry(
    "image processor",
    {
        BAGS: f"{__name__}:CustomLlavaImageProcessor",
        "TiledImageProcessor": "pathplugins.models.custom_llava.image_processing:TiledImageProcessor",
    },
)
"""``image_processor_type`` of ``preprocessor_config.json`` -> class: feature bags, or tiles of images."""


def load_image_processor(folder: Path) -> Any:
    """Return the image processor of a model directory, of the class its settings name."""
    settings = read_json(folder / "preprocessor_config.json")
    kind = settings.pop("image_processor_type", BAGS)
    if kind == BAGS and "expects_encoder" not in settings:  # written before towers said what they expect
        settings = {**asdict(tower_expects(read_json(folder / "config.json")["vision_config"])), **settings}
    return IMAGE_PROCESSORS.get(kind)(**settings)


@functools.lru_cache(maxsize=65536)
def _info_of(path: str, mtime_ns: int) -> BagInfo:
    del mtime_ns  # part of the key: a bag written anew is looked at anew
    return inspect_bag(path)


class CustomLlavaProcessor(ProcessorMixin):
    """Tokenizer and image reader: text with ``<image>`` placeholders, and bags or images, in; model inputs out."""

    attributes = ["image_processor", "tokenizer"]  # noqa: RUF012 - host contract
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, image_token: str = PLACEHOLDER, **kwargs: Any
    ) -> None:
        self.image_token = image_token
        super().__init__(image_processor, tokenizer, chat_template=kwargs.get("chat_template"))

    @property
    def image_token_id(self) -> int:
        """Vocabulary entry of one vision token."""
        return self.tokenizer.convert_tokens_to_ids(self.image_token)

    def num_image_tokens(self, image: str | Path) -> int:
        """See `CustomLlavaImageProcessor.num_image_tokens`."""
        return self.image_processor.num_image_tokens(image)

    def expand(self, text: str, images: Sequence[str | Path]) -> str:
        """Replace the i-th ``<image>`` by as many image tokens as the i-th image takes."""
        parts = self._around_images(text, images)
        tokens = [self.image_token * self.num_image_tokens(image) for image in images]
        return "".join(part + token for part, token in zip(parts, [*tokens, ""], strict=True))

    def _around_images(self, text: str, images: Sequence[str | Path]) -> list[str]:
        """The pieces of a text before, between and after its images."""
        parts = text.split(PLACEHOLDER)
        if len(parts) - 1 != len(images):
            raise PathPluginsError(
                f"the text has {len(parts) - 1} {PLACEHOLDER} but {len(images)} images were given: {text[:80]!r}; "
                f"write one {PLACEHOLDER} where each image belongs"
            )
        return parts

    def _by_chunks(self, text: str, images: Sequence[str | Path]) -> list[int]:
        """Token ids of a prompt in a format of LLaVA v1.5: the text around images is tokenized by itself."""
        begin = self.tokenizer.bos_token or ""
        starts = bool(begin) and text.startswith(begin)
        first, *others = self._around_images(text[len(begin) * starts :], images)
        ids = [self.tokenizer.bos_token_id] * starts + self._ids(first)
        for image, chunk in zip(images, others, strict=True):
            ids += [self.image_token_id] * self.num_image_tokens(image) + self._ids(chunk)
        return ids

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def __call__(
        self,
        text: str | Sequence[str],
        images: Sequence[Sequence[str | Path]] | Sequence[str | Path] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Model inputs for one text with its images (or bags), or a batch of texts with a list of them each.

        Left padding, as generation needs it, unless ``padding_side`` says otherwise. Where the chat template is one of
        LLaVA v1.5 (`pathplugins.data.llava_format`), ids are as in training.
        """
        texts = [text] if isinstance(text, str) else list(text)
        per_text = [images or []] if isinstance(text, str) else images or [[]] * len(texts)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token  # never seen: the attention mask hides it
        options = {
            "padding": True,
            "padding_side": "left",
            "return_tensors": "pt",
            "add_special_tokens": False,
            **kwargs,
        }
        if CHUNKED in str(self.tokenizer.chat_template):
            del options["add_special_tokens"]
            ids = [self._by_chunks(t, owned) for t, owned in zip(texts, per_text, strict=True)]
            encoded = self.tokenizer.pad({"input_ids": ids}, **options)
        else:
            expanded = [self.expand(t, owned) for t, owned in zip(texts, per_text, strict=True)]
            encoded = self.tokenizer(expanded, **options)
        flat = [image for owned in per_text for image in owned]
        vision = self.image_processor(flat) if flat else {}
        return BatchFeature({"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"], **vision})

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> list[str]:
        """Write the layout every supported Transformers version can read (v5's own cannot be read by v4)."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(folder)
        make_portable(folder)
        write_json(folder / "preprocessor_config.json", self.image_processor.to_dict())
        write_json(folder / "processor_config.json", {"image_token": self.image_token})
        return [str(folder / "processor_config.json")]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> CustomLlavaProcessor:
        """Read a directory (or hub repository) written by `save_pretrained` or ``pathplugins compose``."""
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            asked = {
                name: kwargs[name] for name in ("revision", "cache_dir", "token", "local_files_only") if name in kwargs
            }
            files = ["*.json", "*.jinja", "*.model", "*.txt"]
            folder = Path(snapshot_download(str(pretrained_model_name_or_path), allow_patterns=files, **asked))
        if not (folder / "preprocessor_config.json").is_file():
            raise OSError(f"{folder} holds no preprocessor_config.json: compose it with 'pathplugins compose'")
        own = read_json(folder / "processor_config.json")
        tokenizer = AutoTokenizer.from_pretrained(
            folder, **{k: v for k, v in kwargs.items() if k == "trust_remote_code"}
        )
        return cls(load_image_processor(folder), tokenizer, image_token=own["image_token"])
