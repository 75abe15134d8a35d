"""Run a tissue model of the user's own: TorchScript or ONNX, on a GPU where there is one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import need

from .own_model import OwnModel

Run = Callable[[np.ndarray], np.ndarray]  #: uint8 ``[B, S, S, 3]`` -> class numbers uint8 ``[B, h, w]``


@functools.lru_cache(maxsize=1)
def load_own_model(model: OwnModel) -> Run:
    """Load a model, once in each process; returns the function that gives the class of every pixel.

    Raises:
        PathPluginsError: it cannot be loaded, or later: it does not fit its description.
    """
    forward = _onnx(model) if model.path.suffix.lower() == ".onnx" else _torchscript(model)
    card = model.card
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (card.mean, card.std))  # [3, 1, 1]

    def run(pixels: np.ndarray) -> np.ndarray:
        batch = (pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255 - mean) / std  # [B, 3, S, S]
        try:
            found = forward(np.ascontiguousarray(batch))
        except Exception as error:  # the model raises whatever its runtime does
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise PathPluginsError(
                f"{model.path}: fails on {batch.shape} ({said[-1]}); correct size in its description"
            ) from error
        return _classes(np.asarray(found), model, len(batch))

    return run


def _classes(found: np.ndarray, model: OwnModel, count: int) -> np.ndarray:
    """Return the class numbers of an output, uint8 ``[B, h, w]``."""
    card, wanted = model.card, {"scores": len(model.card.classes)}.get(model.card.output, 1)
    if found.ndim == 3 and card.output != "scores":
        found = found[:, None]
    if found.ndim != 4 or found.shape[:2] != (count, wanted):
        raise PathPluginsError(
            f"{model.path}: gives {found.shape}, its description says {card.output} of {len(card.classes)} classes: "
            f"({count}, {wanted}, h, w); correct output or classes there"
        )
    if card.output == "scores":
        return found.argmax(axis=1).astype(np.uint8)
    if card.output == "labels":
        if found.min() < 0 or found.max() >= len(card.classes):
            raise PathPluginsError(
                f"{model.path}: gives labels {found.min()} to {found.max()}, its description has {len(card.classes)} "
                "classes; name them all there"
            )
        return found[:, 0].astype(np.uint8)
    tissue = found[:, 0] > (0 if card.output == "logit" else 0.5)
    other = _other(card.classes, card.tissue)
    return np.where(tissue, card.classes.index(card.tissue[0]), card.classes.index(other)).astype(np.uint8)


def _other(classes: tuple[str, ...], tissue: tuple[str, ...]) -> str:
    return next(name for name in classes if name != tissue[0])


def _torchscript(model: OwnModel) -> Callable[[np.ndarray], Any]:
    torch = need("torch")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        module = torch.jit.load(str(model.path), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise PathPluginsError(
            f"{model.path}: no TorchScript model ({str(error).splitlines()[0]}); write it with "
            "torch.jit.trace(...).save(), or export it as ONNX"
        ) from error

    def forward(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(batch).to(device)).float().cpu().numpy()

    return forward


def _onnx(model: OwnModel) -> Callable[[np.ndarray], Any]:
    onnxruntime = need("onnxruntime", extra="tissue")
    try:
        session = onnxruntime.InferenceSession(str(model.path), providers=onnxruntime.get_available_providers())
    except Exception as error:  # its errors have no common base but Exception
        raise PathPluginsError(
            f"{model.path}: no ONNX model ({str(error).splitlines()[0]}); export it again"
        ) from error
    (name, *more) = [given.name for given in session.get_inputs()]
    if more:
        raise PathPluginsError(
            f"{model.path}: has inputs {[name, *more]}, wanted one; export it with the picture alone"
        )
    return lambda batch: session.run(None, {name: batch})[0]
