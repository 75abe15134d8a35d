"""A patch encoder with its weights, ready to turn patches into features."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.optional import need
from pathplugins.encoders.activation import with_activation
from pathplugins.encoders.hub_folder import from_timm
from pathplugins.encoders.origin import EncoderChoice, model_with_weights
from pathplugins.encoders.pooling import feature_width, pooled
from pathplugins.encoders.registry import find_card
from pathplugins.published.encoder_card import Pool, Precision
from pathplugins.published.preprocessing import Preprocess

__all__ = ["EncoderChoice", "PatchEncoder", "load_encoder"]


class PatchEncoder:
    """uint8 patches in, float32 features out; the same batch gives the same bits in every process."""

    def __init__(
        self,
        model: Any,
        *,
        label: str,
        preprocess: Preprocess,
        device: str,
        provenance: dict[str, str],
        pool: Pool = "model",
        precision: Precision = "float16",
    ) -> None:
        torch = need("torch")
        self.label = label
        """Name of the encoder in bags."""
        self.preprocess = preprocess
        self._half = getattr(torch, precision) if device.startswith("cuda") and precision != "float32" else None
        self.provenance = {**provenance, "precision": f"{precision} autocast" if self._half else "float32"}
        """Where the weights came from and how they are run."""
        self._pool: Pool = pool
        self._device = device
        self._model = model.eval().to(device)
        self._mean = torch.tensor(preprocess.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(preprocess.std, device=device).view(1, 3, 1, 1)

    def prepare(self, patch: np.ndarray) -> np.ndarray:
        """Resize and crop uint8 ``[H, W, 3]`` to uint8 ``[crop, crop, 3]``; runs in the reader threads."""
        side, crop = self.preprocess.resize_px, self.preprocess.crop_px
        image = Image.fromarray(patch)
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling[self.preprocess.interpolation.upper()])
        edge = round((side - crop) / 2)
        return np.asarray(image.crop((edge, edge, edge + crop, edge + crop)))

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Return features ``[B, D]`` float32 of prepared patches ``[B, crop, crop, 3]``."""
        torch = need("torch")
        pixels = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2)  # [B, 3, crop, crop]
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            # cuDNN must not choose kernels by timing them: two processes could choose different ones
            stack.enter_context(
                torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
            )
            if self._half:
                stack.enter_context(torch.autocast("cuda", self._half))
            output = self._model((pixels.float() / 255 - self._mean) / self._std)
            features = pooled(self._pool, self._model, output)  # [B, D]
        if features.ndim != 2:
            raise PathPluginsError(
                f"--encoder {self.label}: gives {list(features.shape)} for {len(batch)} patches, wanted one vector a "
                "patch; pass a model that pools, or a folder whose config.json sets global_pool"
            )
        return features.float().cpu().numpy()

    def describe(self) -> dict[str, Any]:
        """Return all that decides the features, for fingerprints; the machine chooses the precision, not the user."""
        weights = self.provenance.get("weights_sha256", self.provenance["weights"])
        said = {name: self.provenance[name] for name in ("activation",) if name in self.provenance}
        return {"encoder": self.label, "weights": weights, **said, **asdict(self.preprocess)}


def load_encoder(choice: EncoderChoice) -> PatchEncoder:
    """Build the encoder and give it weights.

    Raises:
        PathPluginsError: an unknown encoder, no weights, an open activation, or a device that is absent.
        CheckpointError: weights that do not fit.
    """
    card = with_activation(find_card(choice.name), choice.activation)
    device = torch_device(choice.device)
    model, label, provenance = model_with_weights(card, choice)
    if choice.activation is not None:
        provenance["activation"] = choice.activation
    width = feature_width(card.pool, model)
    if None not in (card.width, width) and card.width != width:
        raise CheckpointError(f"{card.name}: gives {width} features, its card says {card.width}")
    preprocess = card.preprocess or from_timm(need("timm").data.resolve_model_data_config(model))
    return PatchEncoder(
        model,
        label=label,
        preprocess=preprocess,
        device=device,
        provenance=provenance,
        pool=card.pool,
        precision=card.precision,
    )


def torch_device(wanted: str) -> str:
    """Return the torch device to use; asking for an absent one is an error, not a slower run."""
    torch = need("torch")
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise PathPluginsError(f"--device {wanted}: torch finds no GPU here; pass --device cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise PathPluginsError(f"--device {wanted}: torch knows no such device; pass cpu, cuda or cuda:1") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise PathPluginsError(f"--device {wanted}: torch finds {torch.cuda.device_count()} GPUs here; pass cuda:0")
    return wanted
