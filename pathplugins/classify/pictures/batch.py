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
            return self._normalise(flat.float(), torch.empty(flat.shape, device=flat.device)).view(pixels.shape)
        rows = [Draw(*row) for row in draws.flatten(0, -2).tolist()]
        some = self.at_once or (1 if pixels.device.type == "cpu" else len(rows))
        done = torch.empty(flat.shape, device=pixels.device)
        for start in range(0, len(rows), some):
            part = slice(start, start + some)
            changed = _changed(_flipped(flat[part], rows[part]).float(), rows[part])
            self._normalise(changed, done[part])
        return done.view(pixels.shape)

    def masks(self, masks: Tensor, draws: Tensor) -> Tensor:
        """Flip masks, uint8 ``[B, S, S]``, with their pictures; nothing else ever changes them."""
        return _flipped(masks, [Draw(*row) for row in draws.tolist()])

    def _normalise(self, x: Tensor, done: Tensor) -> Tensor:
        return torch.sub(x, self.offset, out=done).mul_(self.scale)


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
        now = [ORDERS[int(row.order)][step] for row in rows]
        for name in dict.fromkeys(now):
            x = _change(x, rows, [place for place, mine in enumerate(now) if mine == name], name, _CHANGES[name])
    everyone = range(len(rows))
    x = _change(x, rows, everyone, "grey", colour.grey)
    return _change(x, rows, everyone, "sigma", blur)


def _change(
    x: Tensor, rows: Sequence[Draw], turn: Sequence[int], name: str, change: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Make one change on those pictures whose ``turn`` it is and whose draw is not to leave them alone."""
    drawn = {place: getattr(rows[place], name) for place in turn}
    drawn = {place: value for place, value in drawn.items() if value != getattr(_NONE, name)}
    if not drawn:
        return x
    values = x.new_tensor(list(drawn.values()))
    if len(drawn) == len(rows):
        return change(x, values)
    chosen = list(drawn)
    x[chosen] = change(x[chosen], values)
    return x
