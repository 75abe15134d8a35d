"""Processor of `custom_llava`: the one place that knows how many vision tokens an image takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from transformers import AutoTokenizer, BatchFeature, ProcessorMixin

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json, write_json
from pathplugins.core.registry import Registry
from pathplugins.data.llava_format import CHUNKED
from pathplugins.data.turn_formats import format_of
from pathplugins.data.turn_formats.encode import prompt_ids
from pathplugins.data.turn_formats.turn_format import TurnFormat
from pathplugins.models.custom_llava.bag_processing import CustomLlavaImageProcessor
from pathplugins.models.custom_llava.tokenizer_files import make_portable
from pathplugins.models.towers import tower_expects

__all__ = ["PLACEHOLDER", "CustomLlavaImageProcessor", "CustomLlavaProcessor", "load_image_processor"]

_PADDING = {"padding", "padding_side", "return_tensors", "pad_to_multiple_of", "max_length"}
"""Options of a tokenizer that its method `pad` takes."""
PLACEHOLDER = "<image>"
"""What stands for one image in the text of a record, whatever the vocabulary calls its entry."""


BAGS = "CustomLlavaImageProcessor"
IMAGE_PROCESSORS = Registry(
    "image processor",
    {
        BAGS: "pathplugins.models.custom_llava.bag_processing:CustomLlavaImageProcessor",
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

    def sample_tokens(self, images: Sequence[str | Path]) -> list[int]:
        """Return the vision tokens of each image of one sample; slides of a case may share its rows."""
        if hasattr(self.image_processor, "sample_tokens"):
            return self.image_processor.sample_tokens(images)
        return [self.num_image_tokens(image) for image in images]

    def read_images(self, samples: Sequence[Sequence[str | Path]], **options: Any) -> Any:
        """Return the vision inputs of samples, empty where none has an image.

        Args:
            samples: images of each.
            **options: of the image processor.
        """
        flat = [image for owned in samples for image in owned]
        if not flat:
            return {}
        if hasattr(self.image_processor, "sample_tokens"):
            options["samples"] = [len(owned) for owned in samples]
        return self.image_processor(flat, **options)

    def expand(self, text: str, images: Sequence[str | Path]) -> str:
        """Replace the i-th ``<image>`` by as many image tokens as the i-th image takes."""
        _around_images(text, len(images))
        return self._expanded(text, self.sample_tokens(images))

    def _expanded(self, text: str, counts: Sequence[int]) -> str:
        parts, tokens = _around_images(text, len(counts)), [self.image_token * count for count in counts]
        return "".join(part + token for part, token in zip(parts, [*tokens, ""], strict=True))

    def _by_tokens(self, text: str, counts: Sequence[int], special: bool) -> list[int]:
        """Return the token ids of a prompt, as of one with all its image tokens written out.

        A slide of 38,400 tokens would be tokenized in 0.2 s and ten times the memory of its ids.
        """
        once = self._expanded(text, [1] * len(counts))
        left, ids = iter(counts), []
        for token in self.tokenizer(once, add_special_tokens=special)["input_ids"]:
            ids += [token] * next(left, 1) if token == self.image_token_id else [token]
        return ids

    def _by_chunks(self, text: str, counts: Sequence[int]) -> list[int]:
        """Return the token ids of a prompt in a format of LLaVA v1.5: the text around images is tokenized by itself."""
        begin = self.tokenizer.bos_token or ""
        starts = bool(begin) and text.startswith(begin)
        first, *others = _around_images(text[len(begin) * starts :], len(counts))
        ids = [self.tokenizer.bos_token_id] * starts + self._ids(first)
        for count, chunk in zip(counts, others, strict=True):
            ids += [self.image_token_id] * count + self._ids(chunk)
        return ids

    def _by_turns(self, text: str, counts: Sequence[int], turn_format: TurnFormat) -> list[int]:
        """Return the token ids of a prompt in an exact chat format, cut as in training."""
        ids: list[int] = []
        for chunk, count in zip(_around_images(text, len(counts)), [*counts, 0], strict=True):
            ids += prompt_ids(turn_format, chunk, self.tokenizer) + [self.image_token_id] * count
        return ids

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def __call__(
        self,
        text: str | Sequence[str],
        images: Sequence[Sequence[str | Path]] | Sequence[str | Path] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Return the model inputs for one text with its images (or bags), or a batch of texts with a list of them each.

        Left padding, as generation needs it, unless ``padding_side`` says otherwise. Where the chat template is one of
        LLaVA v1.5 (`pathplugins.data.llava_format`) or an exact one (`pathplugins.data.turn_formats`), ids are as in
        training.
        """
        texts = [text] if isinstance(text, str) else list(text)
        per_text = [images or []] if isinstance(text, str) else images or [[]] * len(texts)
        for each, owned in zip(texts, per_text, strict=True):
            _around_images(each, len(owned))
        counts = [self.sample_tokens(owned) for owned in per_text]
        encoded = self.text_inputs(texts, counts, **kwargs)
        return BatchFeature({**encoded, **self.read_images(per_text)})

    def text_inputs(self, texts: Sequence[str], counts: Sequence[Sequence[int]], **kwargs: Any) -> dict[str, Any]:
        """Return ``input_ids`` and ``attention_mask`` [B, T] of texts, without reading an image.

        Args:
            texts: with one ``<image>`` for each of their images.
            counts: vision tokens of each image of each text.
            **kwargs: options of the tokenizer, see `__call__`.
        """
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token  # never seen: the attention mask hides it
        options = {
            "padding": True,
            "padding_side": "left",
            "return_tensors": "pt",
            "add_special_tokens": False,
            **kwargs,
        }
        template, pairs = self.tokenizer.chat_template, [*zip(texts, counts, strict=True)]
        special = options.pop("add_special_tokens")
        if (turn_format := format_of(template)) is not None:
            ids = [self._by_turns(text, each, turn_format) for text, each in pairs]
        elif CHUNKED in str(template):
            ids = [self._by_chunks(text, each) for text, each in pairs]
        elif options.keys() <= _PADDING:
            ids = [self._by_tokens(text, each, special) for text, each in pairs]
        else:  # the tokenizer itself shortens, or returns something more
            expanded = [self._expanded(text, each) for text, each in pairs]
            encoded = self.tokenizer(expanded, add_special_tokens=special, **options)
            return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}
        encoded = self.tokenizer.pad({"input_ids": ids}, **options)
        return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}

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


def _around_images(text: str, images: int) -> list[str]:
    """Return the pieces of a text before, between and after its images."""
    parts = text.split(PLACEHOLDER)
    if len(parts) - 1 != images:
        raise PathPluginsError(
            f"the text has {len(parts) - 1} {PLACEHOLDER} but {images} images were given: {text[:80]!r}; "
            f"write one {PLACEHOLDER} where each image belongs"
        )
    return parts
