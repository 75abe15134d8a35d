"""Augment a batch: flips, colours, grey, blur and normalisation, on the device where the batch is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pathplugins.classify.pictures import colour
from pathplugins.classify.pictures.blur import blur
from pathplugins.classify.pictures.draws import ORDERS, Draw

_CHANGES = {
    "brightness": colour.brightness,
    "contrast": colour.contrast,
    "saturation": colour.saturation,
    "hue": colour.hue,
}
_NONE = Draw()


class BatchAugment(nn.Module):
    """Turn bytes into normalised numbers; what happens to a picture stands in its row of ``draws``."""

    offset: Tensor
    scale: Tensor
    at_once: int | None = None
    """Pictures in one step; None is all on a GPU, and 1 on a processor: it stays in the cache of a core."""

    def __init__(self, *, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take the ``mean`` and ``std`` of the encoder, for values in [0, 1]."""
        super().__init__()
        self.register_buffer("offset", colour.WHITE * torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("scale", 1 / (colour.WHITE * torch.tensor(std).view(3, 1, 1)), persistent=False)

    @torch.no_grad()
    def forward(self, pixels: Tensor, draws: Tensor | None = None) -> Tensor:
        """Augment and normalise pictures.

        Args:
            pixels: uint8 ``[B, 3, S, S]`` or, with views, ``[B, V, 3, S, S]``.
            draws: float32 ``[B, 9]`` or ``[B, V, 9]``, from `PatchDataset`; None changes nothing.

        Returns:
            float32 of the same shape.
        """
        flat = pixels.flatten(0, -4)  # [N, 3, S, S], N = B V
        if draws is None:
            return self._normalised(flat.float()).view(pixels.shape)
        rows = [Draw(*row) for row in draws.flatten(0, -2).tolist()]
        some = self.at_once or (1 if pixels.device.type == "cpu" else len(rows))
        done = torch.empty(flat.shape, device=pixels.device)
        for start in range(0, len(rows), some):
            part = slice(start, start + some)
            done[part] = self._normalised(_changed(_flipped(flat[part], rows[part]).float(), rows[part]))
        return done.view(pixels.shape)

    def masks(self, masks: Tensor, draws: Tensor) -> Tensor:
        """Flip masks, uint8 ``[B, S, S]``, with their pictures; nothing else ever changes them."""
        return _flipped(masks, [Draw(*row) for row in draws.tolist()])

    def _normalised(self, x: Tensor) -> Tensor:
        return x.sub_(self.offset).mul_(self.scale)


def _flipped(x: Tensor, rows: Sequence[Draw]) -> Tensor:
    """Return the pictures or masks ``[N, ..., S, S]``, flipped where their rows say so."""
    for name, axis in (("flip_x", -1), ("flip_y", -2)):
        chosen = [place for place, row in enumerate(rows) if getattr(row, name)]
        if len(chosen) == len(rows):
            x = x.flip(axis)
        elif chosen:
            x = x.index_copy(0, torch.tensor(chosen, device=x.device), x[chosen].flip(axis))
    return x


def _changed(x: Tensor, rows: Sequence[Draw]) -> Tensor:
    """Return pictures, float32 ``[N, 3, S, S]`` in [0, 255], with other colours and blurred; may write over ``x``."""
    for step in range(len(_CHANGES)):
        for name, change in _CHANGES.items():
            now = [ORDERS[int(row.order)][step] == name for row in rows]
            _change(x, rows, name, now, change)
    _change(x, rows, "grey", [True] * len(rows), colour.grey)
    for place, row in enumerate(rows):
        if row.sigma:
            x[place] = blur(x[place], row.sigma)
    return x


def _change(
    x: Tensor, rows: Sequence[Draw], name: str, now: Sequence[bool], change: Callable[[Tensor, Tensor], None]
) -> None:
    """Make one change on those of the pictures whose turn it is ``now`` and whose draw is not to leave them alone."""
    drawn = [getattr(row, name) for row in rows]
    chosen = [place for place, mine in enumerate(now) if mine and drawn[place] != getattr(_NONE, name)]
    values = x.new_tensor([drawn[place] for place in chosen])
    if len(chosen) == len(rows):
        change(x, values)
    elif chosen:
        part = x[chosen]
        change(part, values)
        x[chosen] = part
