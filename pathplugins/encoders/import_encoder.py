"""Turn a checkpoint of any training method into an encoder folder, checked by numbers before it appears."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import refuse_nonempty, remove_abandoned, temporary_beside
from pathplugins.core.optional import need
from pathplugins.encoders.build import build_model
from pathplugins.encoders.hub_folder import folder_card
from pathplugins.encoders.image_size import at_side, preprocessing_of, resized_state
from pathplugins.encoders.load_weights import Loaded, load_weights, read_weights, sha256
from pathplugins.encoders.pooling import pooled
from pathplugins.encoders.reference import reference_features
from pathplugins.encoders.registry import ENCODERS, find_card
from pathplugins.encoders.write_folder import write_encoder_folder
from pathplugins.published.encoder_card import EncoderCard
from pathplugins.weights import open_weights
from pathplugins.weights.names.training_methods import BY_NAME, Method, bare_name, method_of, parts_beside

TOLERANCE = 1e-5
"""Largest difference to the reference, in float32, as a share of its largest value."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """Report of an import."""

    what: str
    """The encoder in a few words."""
    method: Method | None
    """Whose layout the file has; None where it holds nothing but an encoder."""
    loaded: Loaded
    beside: dict[str, int]
    """Parts that were left out -> number of their tensors."""
    resized: str
    """What was resized, empty where nothing was."""
    reference: str | None
    """Whose code the numbers were compared with; None where none is known for the architecture."""
    difference: float
    """Largest difference to it, as a share of its largest value."""


def import_encoder(name: str, source: Path, out: Path, *, image_size: int | None = None) -> Imported:
    """Write the encoder folder ``out``, which must not exist or be empty; nothing is there unless the numbers agree.

    Args:
        name: of an encoder card.
        source: its checkpoint.
        out: new directory.
        image_size: side of the input in pixels, to which position embeddings are resized.

    Raises:
        PathPluginsError: no such card.
        CheckpointError: weights of another method or model, partial ones, or other numbers than the reference's.
    """
    refuse_nonempty(out)
    card = find_card(name)
    if card.family != "timm":
        raise CheckpointError(
            f"{name}: its model is more than one of timm, which no encoder folder holds; name card and file where they "
            f"are needed: --encoder {name} --weights {source}, or vision_config: {{encoder: {name}}}"
        )
    method = method_of(open_weights(source).names())
    _check_method(card, method, source)
    model = build_model(card)
    unused = (*card.unused, *(method.beside if method else ()))
    loaded = load_weights(model, source, unused=unused, positions=card.positions)
    method = method if loaded.naming == "timm" else None  # other projects' names are of no training method here
    _check_place(method, loaded, source)
    sized = at_side(card, image_size or preprocessing_of(card).crop_px)
    state, resized = resized_state(model, build_model(sized)) if sized.timm_kwargs != card.timm_kwargs else (None, "")
    raw, _ = read_weights(source)
    remove_abandoned(out)
    beside = out.parent / temporary_beside(out).name
    try:
        write_encoder_folder(
            beside,
            architecture=card.architecture,
            model_args=sized.timm_kwargs,
            state=model.state_dict() if state is None else state,
            preprocess=preprocessing_of(sized),
            origin=_origin(card, method, source, loaded),
            pool=card.pool,
        )
        reference, difference = _compare(sized, beside, loaded, raw, source)
        if out.exists():
            out.rmdir()  # empty, as was made sure of
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    own = model.state_dict() if loaded.naming == "timm" else ()
    left_out = parts_beside(raw, loaded.prefix, own) if own else {}
    return Imported(
        what=card.what or card.name,
        method=method,
        loaded=loaded,
        beside=left_out,
        resized=resized or loaded.resized,
        reference=reference,
        difference=difference,
    )


def _check_method(card: EncoderCard, method: Method | None, source: Path) -> None:
    """Refuse a checkpoint of another training method than the card's, and name the cards it fits."""
    if not card.method or method is None or method.name == card.method:
        return
    fits = [other.name for other in map(ENCODERS.get, ENCODERS) if other.method == method.name]
    raise CheckpointError(
        f"{source} is a checkpoint of {method.name} (it has {method.encoder or method.known_by[0]}*), {card.name} is "
        f"of {card.method} ({BY_NAME[card.method].encoder or 'bare names'}); "
        + (f"pass {' or '.join(fits)} in place of {card.name}" if fits else "no card here is of that method")
    )


def _check_place(method: Method | None, loaded: Loaded, source: Path) -> None:
    """Refuse an encoder that lies elsewhere than the method keeps the trained one, such as its slow copy."""
    if method and method.encoder and bare_name(loaded.prefix) != method.encoder:
        raise CheckpointError(
            f"{source} is a checkpoint of {method.name}, but a whole encoder lies below {loaded.prefix!r} only, not "
            f"below {method.encoder!r}; save the trained encoder's state dict by itself and pass that"
        )


def _origin(card: EncoderCard, method: Method | None, source: Path, loaded: Loaded) -> dict[str, Any]:
    return {
        "encoder": card.name,
        "file": source.name,
        "sha256": sha256(source),
        "method": method.name if method else "encoder alone",
        "weights_found": str(loaded),
        "licence": card.licence.shown,
        "source": card.source,
    }


def _compare(
    card: EncoderCard, folder: Path, loaded: Loaded, raw: dict[str, Any], source: Path
) -> tuple[str | None, float]:
    """Compare features of the written folder with those of the file; return whose code gave the latter."""
    torch = need("torch")
    side = preprocessing_of(card).crop_px
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(20_260))
    own = {name[len(loaded.prefix) :]: value for name, value in raw.items() if name.startswith(loaded.prefix)}
    found = reference_features(card, own, pixels) if loaded.naming == "timm" else None
    if found is None:
        return None, 0.0
    wanted, whose = found
    written = folder_card(folder)
    model = build_model(written)
    load_weights(model, written.weights)
    with torch.inference_mode():
        features = pooled(written.pool, model, model.eval()(pixels))
    difference = float((features - wanted).abs().max() / wanted.abs().max())
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f"{source}: the converted encoder computes other features than {whose} with the weights of the file: "
            f"largest difference {difference:.1e} of the largest value, allowed is {TOLERANCE:g}; nothing was written. "
            "Are there NaNs in the file, or is it another encoder of the same shape?"
        )
    return whose, difference
