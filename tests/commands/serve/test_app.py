"""The routes of the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.commands.loading import load_model
from pathplugins.commands.serve.app import app
from pathplugins.commands.serve.engine import Engine
from pathplugins.commands.serve.roots import Roots
from pathplugins.commands.serve.state import ServerState
from pathplugins.commands.slide_bags import SlideOptions

pytest.importorskip("fastapi")


def test_health(minded: Path, bags: Path) -> None:
    from fastapi.testclient import TestClient

    model = load_model(minded, device="cpu")
    state = ServerState(model=model, roots=Roots([bags]), slides=SlideOptions(), engine=Engine(model))
    assert TestClient(app(state)).get("/health").json() == {"status": "ok"}
