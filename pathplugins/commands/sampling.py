"""Sampling: how the tokens of an answer are chosen; by default the likeliest each time, so that answers repeat."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pathplugins.core.errors import PathPluginsError

MAX_NEW_TOKENS = 128
_SEEDS = 2**32


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How answers are generated; the defaults draw nothing by chance."""

    max_new_tokens: int = MAX_NEW_TOKENS
    """Length of an answer, at most."""
    temperature: float = 0.0
    """Tokens are drawn from the model's probabilities, flattened by this; 0 takes the likeliest."""
    num_beams: int | None = None
    """Beams of beam search; None as ``generation_config.json`` of the model says, which is one beam nearly always."""
    seed: int | None = None
    """Of the draw of every single answer; None is 0."""
    top_p: float | None = None
    """Tokens are drawn from the likeliest ones that together have this probability; None as the model says."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise PathPluginsError(f"--max-new-tokens is {self.max_new_tokens}, expected 1 or more")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise PathPluginsError(f"--temperature is {self.temperature:g}, expected 0 (the likeliest token) or above")
        if self.num_beams is not None and self.num_beams < 1:
            raise PathPluginsError(f"--num-beams is {self.num_beams}, expected 1 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise PathPluginsError(f"--top-p is {self.top_p:g}, expected above 0, at most 1")
        if self.top_p is not None and not self.temperature:
            raise PathPluginsError(
                f"--top-p {self.top_p:g} has no draw to cut without --temperature; add that, or leave it"
            )
        if self.seed is not None and not self.temperature:
            raise PathPluginsError(
                f"--seed {self.seed} has nothing to draw without --temperature; add that, or leave it"
            )
        if self.seed is not None and not 0 <= self.seed < _SEEDS:
            raise PathPluginsError(f"--seed is {self.seed}, expected 0 to {_SEEDS - 1}")

    @property
    def streams(self) -> bool:
        """Whether the words of an answer are final as they come; beams are compared at their end."""
        return self.num_beams in (None, 1)

    def options(self) -> dict[str, Any]:
        """Return the options of Transformers' ``generate``."""
        options: dict[str, Any] = {"max_new_tokens": self.max_new_tokens, "do_sample": self.temperature > 0}
        if self.temperature:
            options["temperature"] = self.temperature
        if self.top_p is not None:
            options["top_p"] = self.top_p
        if self.num_beams is not None:
            options["num_beams"] = self.num_beams
        return options

    @contextmanager
    def seeded(self, device: Any) -> Iterator[None]:
        """Draw from the seed within the block; the caller's own random numbers go on as if nothing had been drawn."""
        if not self.temperature:
            yield
            return
        import torch

        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(self.seed or 0)
            yield


def add_sampling_options(parser: argparse.ArgumentParser, *, max_new_tokens: int | None = MAX_NEW_TOKENS) -> None:
    """Add the options of `Sampling`; with ``max_new_tokens`` None what is not given is left to the command."""
    words = f"length of an answer, at most; default {MAX_NEW_TOKENS}"
    parser.add_argument("--max-new-tokens", type=int, default=max_new_tokens, metavar="N", help=words)
    parser.add_argument(
        "--temperature",
        type=float,
        default=0.0,
        metavar="T",
        help="draw the tokens of an answer at random, the more freely the higher; 0 (default) takes the likeliest",
    )
    parser.add_argument(
        "--top-p",
        type=float,
        metavar="P",
        help="of --temperature: draw from the likeliest tokens that together have probability P (default: the model's)",
    )
    parser.add_argument("--num-beams", type=int, metavar="N", help="search among N answers side by side")
    parser.add_argument(
        "--seed", type=int, metavar="N", help="of --temperature: another seed, another draw (default 0)"
    )


def sampling_of(args: argparse.Namespace) -> Sampling:
    """Return what was asked for by the options.

    Raises:
        PathPluginsError: a value that cannot be used.
    """
    names = ("max_new_tokens", "temperature", "num_beams", "seed", "top_p")
    return Sampling(**{name: getattr(args, name) for name in names})
