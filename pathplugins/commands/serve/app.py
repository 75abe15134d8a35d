"""App: the routes of the server, as FastAPI has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pathplugins.commands.serve.state import ServerState
from pathplugins.core.optional import need

if TYPE_CHECKING:
    from fastapi import FastAPI


def app(state: ServerState) -> FastAPI:
    """Return the application that answers about the files of ``state``.

    Raises:
        MissingDependencyError: the extra ``serve`` is not installed.
    """
    made = need("fastapi", extra="serve").FastAPI(title="pathplugins", docs_url=None, redoc_url=None, openapi_url=None)

    @made.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    return made
