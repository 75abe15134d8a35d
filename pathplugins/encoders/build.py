"""Build the model of a card, untrained or from a TorchScript file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.optional import need
from pathplugins.published.encoder_card import EncoderCard


def build_model(card: EncoderCard, seed: int = 0) -> Any:
    """Build the model of ``card`` with weights drawn from ``seed``; the caller's random state is not touched.

    Raises:
        PathPluginsError: a card whose model exists only with its weights.
    """
    if card.family == "torchscript" or card.architecture.startswith("hf-hub:"):
        fetch = f", or 'hf download {card.hub_id} --local-dir DIR' and --encoder DIR" if card.hub_id else ""
        raise PathPluginsError(
            f"--encoder {card.name}: its architecture comes with its weights, so it cannot be built without them; "
            f"pass {'--download' if card.hub_id else 'a timm model'}{fetch}"
        )
    torch = need("torch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _new_model(card)


def load_torchscript(path: Path) -> Any:
    """Load the model in a TorchScript file, on the CPU.

    Raises:
        CheckpointError: the file is no TorchScript model.
    """
    torch = need("torch")
    try:
        return torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: no TorchScript model ({str(error).splitlines()[0]}); write it with torch.jit.trace(...).save()"
        ) from error


def _new_model(card: EncoderCard) -> Any:
    """Build the untrained model; ``num_classes`` in a card is a projection that belongs to the features."""
    timm = need("timm")
    kwargs = _resolved(card.timm_kwargs)
    if card.family == "conch":
        from pathplugins.encoders.conch import conch_vision

        return conch_vision(card.architecture, **kwargs)
    if card.family == "conch-v1.5":
        from pathplugins.encoders.conch_v15 import conch_v15_vision

        return conch_v15_vision(card.architecture, **kwargs)
    if card.name != card.architecture and not timm.is_model(card.architecture):
        raise PathPluginsError(
            f"{card.name}: timm {timm.__version__} has no {card.architecture}, which it is built as; install a newer "
            "timm: pip install -U timm"
        )
    return timm.create_model(card.architecture, pretrained=False, **{"num_classes": 0, **kwargs})


def _resolved(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return arguments for timm: a card names layers, and ``norm_eps`` means a layer norm of that epsilon."""
    resolved = dict(kwargs)
    if "mlp_layer" in resolved:
        resolved["mlp_layer"] = getattr(need("timm").layers, resolved["mlp_layer"])
    if resolved.get("embed_layer") == "ConvStem":
        from pathplugins.encoders.conv_stem import ConvStem

        resolved["embed_layer"] = ConvStem
    if "norm_eps" in resolved:
        resolved["norm_layer"] = partial(need("timm").layers.LayerNorm, eps=resolved.pop("norm_eps"))
    return resolved
