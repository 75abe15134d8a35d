"""Take the weights of an encoder from exactly one place, and never from the network unasked."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError, PathPluginsError
from pathplugins.core.optional import need
from pathplugins.encoders.build import build_model, load_torchscript
from pathplugins.encoders.load_weights import load_weights, sha256
from pathplugins.published.encoder_card import EncoderCard


@dataclass(frozen=True, kw_only=True)
class EncoderChoice:
    """The encoder a user asks for; plain values, which can be sent to another process."""

    name: str
    weights: Path | None = None
    """A local checkpoint."""
    random_seed: int | None = None
    """Seed of untrained weights, for trial runs."""
    download: bool = False
    """Whether published weights may be fetched from the network."""
    device: str = "auto"
    activation: str | None = None
    """``quick_gelu`` or ``gelu``, for CLIP encoders whose publishers leave it open."""


def model_with_weights(card: EncoderCard, choice: EncoderChoice) -> tuple[Any, str, dict[str, str]]:
    """Return the model, its label for bags, and the provenance of its weights.

    Raises:
        PathPluginsError: no weights, or more than one place to take them from.
        CheckpointError: weights that do not fit or cannot be fetched.
    """
    if choice.weights is None and card.weights and choice.random_seed is None:
        choice = replace(choice, weights=card.weights)
    _check_one_origin(card, choice)
    if choice.random_seed is not None:
        origin = f"random weights, seed {choice.random_seed}"
        return build_model(card, choice.random_seed), f"{card.name} ({origin})", {"weights": origin}
    if choice.download and card.hub_file is None:
        return _from_timm_hub(card), card.name, {"weights": f"downloaded {card.hub_id or card.architecture}"}
    path = choice.weights or _downloaded(card)
    if card.family == "torchscript":
        model, found = load_torchscript(path), "TorchScript"
    else:
        model = build_model(card)
        found = str(load_weights(model, path, unused=card.unused, positions=card.positions))
    return model, card.name, {"weights": path.name, "weights_sha256": sha256(path), "weights_found": found}


def _check_one_origin(card: EncoderCard, choice: EncoderChoice) -> None:
    """Refuse a choice of no place for weights, or of more than one."""
    given = [choice.weights is not None, choice.random_seed is not None, choice.download]
    if sum(given) > 1:
        raise PathPluginsError("--weights, --random-weights and --download exclude each other: pass one of them")
    trial = "--random-weights SEED for a trial run"
    if card.local_only and (choice.download or not any(given)):
        raise PathPluginsError(
            f"--encoder {card.name}: no weights given, and none can be downloaded for it (see {card.source}): "
            f"pass --weights FILE, or {trial}"
        )
    if not any(given):
        raise PathPluginsError(
            f"--encoder {card.name}: no weights given, and none are fetched unasked. Pass --download to fetch them "
            f"from {card.hub_id or 'the timm hub'}{_terms(card)}, --weights FILE for a local checkpoint"
            f"{_fetching(card)}, or {trial}"
        )


def _terms(card: EncoderCard) -> str:
    """Return how to get access to gated weights."""
    return f" (gated: accept the terms at {card.source} and run 'hf auth login' first)" if card.gated else ""


def _fetching(card: EncoderCard) -> str:
    """Return the command that fetches the weights by hand, for a machine without network."""
    if card.hub_id is None:
        return ""
    if card.hub_file is None:
        return f" ('hf download {card.hub_id} --local-dir DIR' fetches one; then --encoder DIR)"
    return f" ('hf download {card.hub_id} {card.hub_file} --local-dir DIR' fetches it)"


def _downloaded(card: EncoderCard) -> Path:
    """Download the published file of weights into the cache of the Hugging Face hub."""
    try:
        return Path(need("huggingface_hub").hf_hub_download(card.hub_id, card.hub_file))
    except _hub_errors() as error:
        raise _not_fetched(card, error) from error


def _from_timm_hub(card: EncoderCard) -> Any:
    """Build the model with weights by timm's own download."""
    try:
        return need("timm").create_model(card.architecture, pretrained=True, num_classes=0)
    except (*_hub_errors(), RuntimeError) as error:
        raise _not_fetched(card, error) from error


def _hub_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of no network, no access and no such file: OSErrors, and those of newer hub clients."""
    used = (sys.modules.get(name) for name in ("httpx", "httpx2"))  # the second from huggingface_hub 2 on
    return (OSError, *(module.HTTPError for module in used if module))


def _not_fetched(card: EncoderCard, error: Exception) -> CheckpointError:
    """Return the error for weights that could not be downloaded."""
    what = " ".join(part for part in (card.hub_id or card.architecture, card.hub_file) if part)
    return CheckpointError(
        f"--encoder {card.name}: {what} could not be fetched ({str(error).strip().splitlines()[0]}); check network and "
        f"access at {card.source}{_terms(card)}, or pass --weights FILE"
    )
