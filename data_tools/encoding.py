"""Encoding: a patch encoder with its weights, ready to turn patches into features."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pathplugins.core.errors import CheckpointError, PathPluginsError

from .encoders import EncoderCard, Preprocess, find_card, from_timm
from .optional import need
from .weights import load_weights, sha256


@dataclass(frozen=True, kw_only=True)
class EncoderChoice:
    """What the user asked for; plain values, so that it can be sent to another process."""

    name: str
    weights: Path | None = None
    """A local checkpoint."""
    random_seed: int | None = None
    """Untrained weights of this seed: for trying things out."""
    download: bool = False
    """Whether published weights may be fetched from the network."""
    device: str = "auto"


class PatchEncoder:
    """uint8 patches in, float32 features out."""

    def __init__(
        self, model: Any, *, label: str, preprocess: Preprocess, device: str, provenance: dict[str, str]
    ) -> None:
        torch = need("torch")
        self.label = label
        """What bags call the encoder."""
        self.preprocess = preprocess
        self.provenance = {**provenance, "precision": "float16 autocast" if device.startswith("cuda") else "float32"}
        """Where the weights came from and how they are run."""
        self._device = device
        self._model = model.eval().to(device)
        self._mean = torch.tensor(preprocess.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(preprocess.std, device=device).view(1, 3, 1, 1)

    def prepare(self, patch: np.ndarray) -> np.ndarray:
        """uint8 ``[H, W, 3]`` to uint8 ``[crop, crop, 3]``; runs in the reader threads."""
        side, crop = self.preprocess.resize_px, self.preprocess.crop_px
        image = Image.fromarray(patch)
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling[self.preprocess.interpolation.upper()])
        edge = round((side - crop) / 2)
        return np.asarray(image.crop((edge, edge, edge + crop, edge + crop)))

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Features ``[B, D]`` float32 of prepared patches ``[B, crop, crop, 3]``."""
        torch = need("torch")
        pixels = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2)  # [B, 3, crop, crop]
        on_gpu = self._device.startswith("cuda")
        with torch.inference_mode(), torch.autocast("cuda", torch.float16) if on_gpu else nullcontext():
            features = self._model((pixels.float() / 255 - self._mean) / self._std)  # [B, D]
        return features.float().cpu().numpy()

    def describe(self) -> dict[str, Any]:
        """All that decides the features, for fingerprints; the precision is the machine's, not the user's, choice."""
        weights = self.provenance.get("weights_sha256", self.provenance["weights"])
        return {"encoder": self.label, "weights": weights, **asdict(self.preprocess)}


def load_encoder(choice: EncoderChoice) -> PatchEncoder:
    """Build the encoder and give it weights.

    Raises:
        PathPluginsError: an unknown encoder, no weights, or a device that is not there.
        CheckpointError: weights that do not fit.
    """
    card = find_card(choice.name)
    if choice.weights is None and card.weights and choice.random_seed is None:
        choice = replace(choice, weights=card.weights)
    _check_one_origin(card, choice)
    device = _device(choice.device)
    model, label, provenance = _with_weights(card, choice)
    if card.width not in (None, model.num_features):
        raise CheckpointError(f"{card.name}: gives {model.num_features} features, its card says {card.width}")
    timm = need("timm")
    preprocess = card.preprocess or from_timm(timm.data.resolve_model_data_config(model))
    return PatchEncoder(model, label=label, preprocess=preprocess, device=device, provenance=provenance)


def _check_one_origin(card: EncoderCard, choice: EncoderChoice) -> None:
    """Weights come from exactly one place, and never from the network unasked."""
    given = [choice.weights is not None, choice.random_seed is not None, choice.download]
    if sum(given) > 1:
        raise PathPluginsError("--weights, --random-weights and --download exclude each other: pass one of them")
    if not any(given):
        access = f" (gated: accept the terms at {card.source} and run 'hf auth login' first)" if card.gated else ""
        raise PathPluginsError(
            f"--encoder {card.name}: no weights given, and none are fetched unasked. Pass --download to fetch them "
            f"from {card.hub_id or 'the timm hub'}{access}, --weights FILE for a local checkpoint, or "
            "--random-weights SEED for a trial run"
        )


def _with_weights(card: EncoderCard, choice: EncoderChoice) -> tuple[Any, str, dict[str, str]]:
    """(model, label, provenance)."""
    torch, timm = need("torch"), need("timm")
    if choice.download:
        name = f"hf-hub:{card.hub_id}" if card.hub_id else card.architecture
        try:
            model = timm.create_model(name, pretrained=True, num_classes=0)
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                f"--encoder {card.name}: {name} could not be fetched ({error}); check network and access at "
                f"{card.source}, or pass --weights FILE"
            ) from error
        return model, card.name, {"weights": f"downloaded {name}"}
    kwargs = {**card.timm_kwargs, "num_classes": 0, "pretrained": False}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(choice.random_seed or 0)
        model = timm.create_model(card.architecture, **kwargs)
    if choice.weights is None:
        origin = f"random weights, seed {choice.random_seed}"
        return model, f"{card.name} ({origin})", {"weights": origin}
    load_weights(model, choice.weights)
    return model, card.name, {"weights": choice.weights.name, "weights_sha256": sha256(choice.weights)}


def _device(wanted: str) -> str:
    """The torch device to use; asking for one that is absent is an error, not a slower run."""
    torch = need("torch")
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise PathPluginsError(f"--device {wanted}: torch finds no GPU here; pass --device cpu")
    return wanted
