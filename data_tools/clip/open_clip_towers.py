"""CLIP towers of open_clip: build a model from its configuration and give it all weights of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.optional import need
from pathplugins.encoders.load_weights import read_weights
from pathplugins.published.preprocessing import CLIP_MEAN, CLIP_STD, Preprocess
from pathplugins.weights.names.open_clip import weight_names

from .architectures import fitting, shape_of_weights
from .towers import Towers, of_length_1

NO_CLIP = "it is damaged, or no CLIP of open_clip"


class OpenClipTowers(Towers):
    """A model of open_clip."""

    def __init__(self, weights: Path, label: str, config: dict[str, Any], preprocess: dict[str, Any]) -> None:
        """Build it as ``config`` (open_clip's ``model_cfg``) says and load all weights."""
        super().__init__()
        open_clip = need("open_clip", extra="pathgen")
        config = {key: dict(value) if isinstance(value, dict) else value for key, value in config.items()}
        text, vision = config.get("text_cfg", {}), config.get("vision_cfg", {})
        if "multimodal_cfg" in config or "hf_model_name" in text or text.get("hf_tokenizer_name"):
            raise PathPluginsError(
                f"--clip {weights}: a CoCa, or one whose text tower or tokenizer is a model of its own on a hub, which "
                "is not fetched; take a CLIP of open_clip or a directory of Transformers"
            )
        if "timm_model_name" in vision:
            vision["timm_model_pretrained"] = False
        kind = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
        self.model = kind(**config)
        _load_all(self.model, weights)
        side = preprocess.get("size") or vision.get("image_size", 224)
        side = side if isinstance(side, int) else side[0]
        self.label, self.weights = label, [weights]
        self.preprocess = Preprocess(
            resize_px=side,
            crop_px=side,
            interpolation=preprocess.get("interpolation", "bicubic"),
            mean=tuple(preprocess.get("mean", CLIP_MEAN)),
            std=tuple(preprocess.get("std", CLIP_STD)),
        )
        self.context_length = text.get("context_length", 77)
        self._tokenizer = open_clip.SimpleTokenizer(context_length=self.context_length)

    def forward(self, pixels: Any) -> Any:
        """Return image features ``[B, D]`` of length 1."""
        return of_length_1(self.model.encode_image(pixels))  # [B, D]

    def tokens(self, texts: list[str]) -> Any:
        """Return token ids ``[T, L]``."""
        return self._tokenizer(texts)  # [T, L]

    def length(self, text: str) -> int:
        """Count the tokens of a text, its start and end included."""
        return len(self._tokenizer.encode(text)) + 2  # its start and its end

    def texts(self, tokens: Any) -> Any:
        """Return text features ``[T, D]`` of length 1."""
        return of_length_1(self.model.encode_text(tokens))  # [T, D]


def read_open_clip_weights(path: Path) -> dict[str, Any]:
    """Read tensors by OpenCLIP's names, without prefixes of training wrappers, numbers and masks left out."""
    found, _ = read_weights(path)
    return {bare: found[name] for bare, name in weight_names(found).items()}


def _load_all(model: Any, path: Path) -> None:
    """Load all weights of the file into the model, or refuse the file."""
    found, wanted = read_open_clip_weights(path), model.state_dict()
    missing = [key for key in wanted if key not in found]
    surplus = [key for key in found if key not in wanted]
    reshaped = [key for key in wanted if key in found and found[key].shape != wanted[key].shape]
    if missing or surplus or reshaped:
        names = fitting(shape_of_weights(found))
        shown = ", ".join([*reshaped, *missing, *surplus][:3])
        advice = f"its shapes match {', '.join(names)}: pass --clip-arch {names[0]}" if names else NO_CLIP
        raise CheckpointError(
            f"--clip {path} does not fit: {len(reshaped)} weights of another shape, {len(missing)} missing and "
            f"{len(surplus)} unknown ({shown}); {advice}"
        )
    model.load_state_dict(found)
