"""Server state: what all requests of one server share."""

from __future__ import annotations

from dataclasses import dataclass

from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.serve.engine import Engine
from pathplugins.commands.serve.roots import Roots
from pathplugins.commands.slide_bags import SlideOptions


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """One model, the files it may be asked about, and the thread that answers."""

    model: LoadedModel
    """What is asked; only the engine's thread may run it (`Engine.do`)."""
    roots: Roots
    """Where files may be named."""
    slides: SlideOptions
    """How a slide becomes a bag."""
    engine: Engine
    """Answers questions, in batches, on a thread of its own."""
