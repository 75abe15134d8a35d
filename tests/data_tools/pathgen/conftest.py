"""A GDC on loopback for every test below."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gdc_server import Gdc, serve


@pytest.fixture
def gdc(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gdc]:
    """The server, empty; our tools wait for it a hundredth of the usual time, and take kilobytes at once."""
    from pathplugins.data_tools.pathgen.sources import download
    from pathplugins.data_tools.pathgen.sources import gdc as of_gdc

    monkeypatch.setattr(of_gdc, "BACKOFF_S", 0.01)
    monkeypatch.setattr(download, "BACKOFF_S", 0.01)
    monkeypatch.setattr(download, "CHUNK", 1000)
    with serve() as state:
        yield state
