"""A CLIP with its weights: features of patches and of texts that can be compared.

Features are float32 and of length 1, so that a product of two is the cosine between them. Axes: B patches, T texts,
D width of the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pathplugins.core.optional import need
from pathplugins.encoders.encoder import PatchEncoder, torch_device

if TYPE_CHECKING:
    from .towers import Towers

LOGIT_SCALE = 100.0  #: cosines times this are CLIP's scores; its learnt scale is clipped there
TEXTS_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class ClipChoice:
    """The CLIP a user asks for; plain values, which can be sent to another process."""

    path: Path
    """A directory in the format of Transformers or of open_clip, or a file of open_clip's weights."""
    arch: str | None = None
    """open_clip's name of the architecture of a file; a directory says it itself."""
    activation: str | None = None
    """``quick_gelu`` or ``gelu``, for files whose publishers leave it open."""
    device: str = "auto"
    batch_size: int = 64


class Clip:
    """Both towers of a CLIP model, ready to use."""

    def __init__(self, towers: Towers, device: str) -> None:
        provenance = {"weights": ", ".join(path.name for path in towers.weights), "weights_sha256": towers.sha256}
        if towers.activation is not None:
            provenance["activation"] = towers.activation
        self.images = PatchEncoder(
            towers,
            label=towers.label,
            preprocess=towers.preprocess,
            device=device,
            provenance=provenance,
        )
        """Encoder of patches: ``prepare`` each and call it; gives ``[B, D]``."""
        self._towers = towers
        self._device = device

    def patches(self, patches: Sequence[np.ndarray]) -> np.ndarray:
        """Return float32 features ``[B, D]`` of square uint8 patches ``[H, W, 3]``."""
        return self.images(np.stack([self.images.prepare(patch) for patch in patches]))

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 features ``[T, D]``; a text beyond the model's length is cut, see `cut`."""
        torch, features = need("torch"), []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            tokens = self._towers.tokens(list(texts[start : start + TEXTS_AT_ONCE])).to(self._device)
            with torch.inference_mode():
                features.append(self._towers.texts(tokens).float().cpu().numpy())  # [t, D]
        return np.concatenate(features)

    def cut(self, texts: Sequence[str]) -> list[str]:
        """Return the texts that are longer than the model reads."""
        return [text for text in texts if self._towers.length(text) > self._towers.context_length]

    def describe(self) -> dict[str, Any]:
        """Return all that decides the features, for the settings recorded with them."""
        return {**self.images.describe(), "encoder": self._towers.label}


def load_clip(choice: ClipChoice) -> Clip:
    """Load both towers, on the device asked for.

    Raises:
        PathPluginsError: the path is no CLIP, its activation is open, or there is no such device.
        CheckpointError: weights that do not fit, all or nothing.
    """
    device = torch_device(choice.device)
    from .read import read_towers  # torch, which a help text does not need

    return Clip(read_towers(choice.path, choice.arch, choice.activation), device)


def central_square(image: Image.Image) -> np.ndarray:
    """Return the central square of an RGB image, uint8 ``[S, S, 3]``: the part of a picture that CLIP sees."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return np.asarray(image.crop((left, top, left + side, top + side)))
